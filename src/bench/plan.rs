//! What a run does: from what was asked for, with defaults, to who talks to whom and how fast; and whether the server's
//! limits let it.

use std::time::Duration;

use super::results;
use crate::domain::Limits;

/// Who talks to whom, and what goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One thread with everybody.
    Broadcast,
    /// Threads of `room` members.
    Rooms,
    /// Threads of two.
    Direct,
    /// As rooms; sends by REST, receives by socket.
    Rest,
    /// As rooms; every second send by REST, with typing notices and read markers beside.
    Mixed,
    /// As rooms; halfway everybody drops the connection and comes back at once.
    Storm,
    /// As rooms; a share of the readers stops reading for a third of the time.
    Slow,
    /// As rooms; a low rate for a long time.
    Soak,
}

impl Scenario {
    /// Each with its name.
    pub const ALL: [(&'static str, Scenario); 8] = [
        ("broadcast", Scenario::Broadcast),
        ("rooms", Scenario::Rooms),
        ("direct", Scenario::Direct),
        ("rest", Scenario::Rest),
        ("mixed", Scenario::Mixed),
        ("storm", Scenario::Storm),
        ("slow", Scenario::Slow),
        ("soak", Scenario::Soak),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.iter().find(|(own, _)| *own == name).map(|(_, scenario)| *scenario)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Scenario::ALL.iter().find(|(_, scenario)| *scenario == self).map_or("", |(name, _)| name)
    }
}

/// What was asked for; `None` takes the scenario's default.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which scenario.
    pub scenario: Scenario,
    /// Users, each with one socket.
    pub users: u32,
    /// Members of each thread.
    pub room: Option<u32>,
    /// Messages a second over all users.
    pub rate: Option<f64>,
    /// Messages unanswered at once over all users, instead of a rate.
    pub window: Option<u32>,
    /// Over how long users connect.
    pub ramp: Option<Duration>,
    /// How long is measured.
    pub duration: Option<Duration>,
    /// Text of a message.
    pub message_bytes: u32,
    /// Chance begins here.
    pub seed: u64,
    /// Share of slow readers, 0 to 1.
    pub share: f64,
    /// Threads of the generator.
    pub workers: u32,
}

/// Most users of one run.
pub const USERS_MAX: u32 = 1_000_000;
/// Most threads of a generator.
pub const WORKERS_MAX: u32 = 64;
/// Least text of a message: the moment at which it was to be sent, and who sent it.
pub const MESSAGE_BYTES_MIN: u32 = 40;
/// Most messages a second.
const RATE_MAX: f64 = 1e7;
/// Longest run.
const DURATION_MAX: Duration = Duration::from_hours(24 * 7);

/// A run that makes sense in itself.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As the results tell it.
    pub told: results::Plan,
    /// Which scenario.
    pub scenario: Scenario,
    /// Users.
    pub users: u32,
    /// Share of slow readers.
    pub share: f64,
    /// Threads of the generator.
    pub workers: u32,
    /// How long is measured.
    pub duration: Duration,
    /// Over how long users connect.
    pub ramp: Duration,
}

impl Plan {
    /// Fills in what was not asked for.
    ///
    /// # Errors
    /// What cannot be, and what to write instead.
    pub fn of(asked: &Asked, url: &str) -> Result<Plan, String> {
        let &Asked { scenario, users, message_bytes, share, workers, .. } = asked;
        if !(2..=USERS_MAX).contains(&users) {
            return Err(format!("--users is 2 to {USERS_MAX}"));
        }
        let room = match scenario {
            Scenario::Broadcast => users,
            Scenario::Direct => 2,
            _ => asked.room.unwrap_or(10).min(users),
        };
        if room < 2 || asked.room.is_some_and(|room| room > users) {
            return Err(format!("--room is 2 to the number of users, {users}"));
        }
        let rate = match (asked.rate, asked.window, scenario) {
            (Some(rate), None, _) => Some(rate),
            (None, Some(_), _) => None,
            (Some(_), Some(_), _) => return Err("--rate and --window exclude each other".to_owned()),
            (None, None, Scenario::Broadcast) => Some(10.0),
            (None, None, Scenario::Soak) => Some(f64::from(users) / 60.0),
            (None, None, _) => Some(f64::from(users) / 2.0),
        };
        if rate.is_some_and(|rate| !(rate > 0.0 && rate <= RATE_MAX)) || asked.window == Some(0) {
            return Err("--rate and --window are above 0".to_owned());
        }
        let long = if scenario == Scenario::Soak { 3_600 } else { 30 };
        let duration = asked.duration.unwrap_or(Duration::from_secs(long));
        let ramp = asked.ramp.unwrap_or(Duration::from_secs(u64::from(users / 500)).max(Duration::from_secs(1)));
        if duration < Duration::from_secs(1) || duration > DURATION_MAX || ramp > DURATION_MAX {
            return Err("--duration is a second to a week, --ramp at most a week".to_owned());
        }
        if message_bytes < MESSAGE_BYTES_MIN {
            return Err(format!(
                "--message-bytes is at least {MESSAGE_BYTES_MIN}: a message carries when it was to be sent"
            ));
        }
        if !(0.0..=1.0).contains(&share) || !(1..=WORKERS_MAX).contains(&workers) {
            return Err(format!("--share is 0 to 1, --threads 1 to {WORKERS_MAX}"));
        }
        let told = results::Plan {
            scenario: scenario.name().to_owned(),
            url: url.to_owned(),
            users: users.into(),
            room: room.into(),
            rate,
            window: asked.window.map(u64::from),
            message_bytes: message_bytes.into(),
            ramp_s: ramp.as_secs_f64(),
            duration_s: duration.as_secs_f64(),
            seed: asked.seed,
        };
        Ok(Plan { told, scenario, users, share, workers, duration, ramp })
    }

    /// Threads. Whoever does not fill one more joins the last.
    pub fn threads(&self) -> u32 {
        (self.users / self.room()).max(1)
    }

    fn room(&self) -> u32 {
        u32::try_from(self.told.room).unwrap_or(u32::MAX).max(1)
    }

    /// The thread a user is in.
    pub fn thread_of(&self, user: u32) -> u32 {
        (user / self.room()).min(self.threads() - 1)
    }

    /// The users of a thread; the first owns it.
    pub fn members(&self, thread: u32) -> std::ops::Range<u32> {
        let end = if thread + 1 == self.threads() { self.users } else { (thread + 1) * self.room() };
        thread * self.room()..end
    }

    /// Whether a user stops reading for a while: evenly spread, and never the first of a thread.
    pub fn is_slow(&self, user: u32) -> bool {
        let share = |user: u32| (f64::from(user) * self.share).floor();
        self.scenario == Scenario::Slow && share(user + 1) > share(user) && self.members(self.thread_of(user)).start != user
    }

    /// What the server's limits do not let through, each with the setting to raise.
    pub fn misfits(&self, limits: &Limits) -> Vec<String> {
        let last = self.members(self.threads() - 1);
        let members = u64::from(last.end - last.start);
        let each = self.told.rate.map_or(0.0, |rate| rate / f64::from(self.users));
        let by_rest = if self.scenario == Scenario::Rest { each } else { 0.0 };
        let rows: [(&str, f64, u64, &str); 8] = [
            ("members of a thread", whole(members), limits.thread_members, "thread_members"),
            (
                "members that the owner of a thread adds at once",
                whole(members - 1),
                limits.members_per_minute,
                "members_per_minute",
            ),
            ("connections", f64::from(self.users), limits.connections_node, "connections_node"),
            ("messages a second of one user", each, limits.sends_per_second, "sends_per_second"),
            ("requests a second of one user", by_rest, limits.rest_per_second, "rest_per_second"),
            ("frames a second of one connection", each - by_rest, limits.frames_per_second, "frames_per_second"),
            ("characters of a message", whole(self.told.message_bytes), limits.content_chars, "content_chars"),
            ("bytes of a frame", whole(self.told.message_bytes + 512), limits.frame_bytes, "frame_bytes"),
        ];
        let over = rows.iter().filter(|(_, needed, limit, _)| *needed > whole(*limit));
        over.map(|(what, needed, limit, name)| {
            let (needed, variable) = (round(*needed), format!("HAILGATE_LIMIT_{}", name.to_uppercase()));
            format!("{what}: {needed}, and the server takes {limit}; raise {variable} there, or ask for less")
        })
        .collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn whole(number: u64) -> f64 {
    number as f64
}

fn round(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}
