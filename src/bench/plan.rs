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
    /// As rooms, with long messages; a share of the readers stops reading for two thirds of the time.
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
    pub message_bytes: Option<u32>,
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
/// Most unanswered messages of one user in a closed loop.
const WINDOW_EACH_MAX: u32 = 200;
/// Longest run: tokens live for a day at most.
const DURATION_MAX: Duration = Duration::from_hours(20);

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
        let &Asked { scenario, users, share, workers, .. } = asked;
        if !(2..=USERS_MAX).contains(&users) {
            return Err(format!("--users is 2 to {USERS_MAX}"));
        }
        let room = match scenario {
            Scenario::Broadcast => users,
            Scenario::Direct => 2,
            Scenario::Slow => asked.room.unwrap_or(50).min(users),
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
            (None, None, Scenario::Slow) => Some(f64::from(users)),
            (None, None, Scenario::Soak) => Some(f64::from(users) / 60.0),
            (None, None, _) => Some(f64::from(users) / 2.0),
        };
        if rate.is_some_and(|rate| !(rate > 0.0 && rate <= RATE_MAX)) || asked.window == Some(0) {
            return Err("--rate and --window are above 0".to_owned());
        }
        if asked.window.is_some_and(|window| window / WINDOW_EACH_MAX >= users) {
            return Err(format!("--window is below {WINDOW_EACH_MAX} for each user"));
        }
        let long = if scenario == Scenario::Soak { 3_600 } else { 30 };
        let duration = asked.duration.unwrap_or(Duration::from_secs(long));
        let ramp = asked.ramp.unwrap_or(Duration::from_secs(u64::from(users / 500)).max(Duration::from_secs(1)));
        if duration < Duration::from_secs(1) || duration > DURATION_MAX || ramp > DURATION_MAX {
            return Err("--duration is a second to 20 hours, --ramp at most 20 hours".to_owned());
        }
        // Little fills no outbox: the system takes megabytes before the server notices that somebody does not read.
        let usual = if scenario == Scenario::Slow { 6_000 } else { 128 };
        let message_bytes = asked.message_bytes.unwrap_or(usual);
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

    /// Users who send: all but those who stop reading, because they could not see that what they sent is stored.
    pub fn senders(&self) -> Vec<u32> {
        (0..self.users).filter(|user| !self.is_slow(*user)).collect()
    }

    /// What the server's limits do not let through, each with the setting to raise.
    pub fn misfits(&self, limits: &Limits) -> Vec<String> {
        let last = self.members(self.threads() - 1);
        let members = u64::from(last.end - last.start);
        let each = self.told.rate.map_or(0.0, |rate| rate / whole(self.senders().len() as u64));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(scenario: Scenario, users: u32) -> Asked {
        Asked {
            scenario,
            users,
            room: None,
            rate: None,
            window: None,
            ramp: None,
            duration: None,
            message_bytes: None,
            seed: 1,
            share: 0.1,
            workers: 1,
        }
    }

    #[test]
    fn what_was_not_asked_for_is_the_scenarios_default() {
        for (scenario, room, rate, seconds) in [
            (Scenario::Broadcast, 100, 10.0, 30.0),
            (Scenario::Rooms, 10, 50.0, 30.0),
            (Scenario::Direct, 2, 50.0, 30.0),
            (Scenario::Soak, 10, 100.0 / 60.0, 3_600.0),
        ] {
            let told = Plan::of(&asked(scenario, 100), "u").expect("a plan").told;
            assert_eq!((told.room, told.rate, told.duration_s), (room, Some(rate), seconds), "{scenario:?}");
        }
        let closed = Plan::of(&Asked { window: Some(5), ..asked(Scenario::Rooms, 100) }, "u").expect("a plan").told;
        assert_eq!((closed.rate, closed.window), (None, Some(5)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_option_to_change() {
        let rooms = asked(Scenario::Rooms, 100);
        for (wrong, named) in [
            (Asked { users: 1, ..rooms.clone() }, "--users"),
            (Asked { users: USERS_MAX + 1, ..rooms.clone() }, "--users"),
            (Asked { room: Some(1), ..rooms.clone() }, "--room"),
            (Asked { room: Some(101), ..rooms.clone() }, "--room"),
            (Asked { rate: Some(0.0), ..rooms.clone() }, "--rate"),
            (Asked { rate: Some(f64::NAN), ..rooms.clone() }, "--rate"),
            (Asked { rate: Some(1.0), window: Some(1), ..rooms.clone() }, "--window"),
            (Asked { window: Some(0), ..rooms.clone() }, "--window"),
            (Asked { window: Some(20_000), ..rooms.clone() }, "--window"),
            (Asked { duration: Some(Duration::ZERO), ..rooms.clone() }, "--duration"),
            (Asked { message_bytes: Some(39), ..rooms.clone() }, "--message-bytes"),
            (Asked { share: 1.5, ..rooms.clone() }, "--share"),
            (Asked { workers: 0, ..rooms }, "--threads"),
        ] {
            let refused = Plan::of(&wrong, "u").expect_err(named);
            assert!(refused.contains(named), "{named}: {refused}");
        }
    }

    #[test]
    fn each_limit_in_the_way_is_named_with_its_variable_and_one_that_is_just_met_is_not() {
        let most = Limits {
            thread_members: 100,
            members_per_minute: 99,
            sends_per_second: 2,
            content_chars: 128,
            ..Limits::default()
        };
        let plan = Plan::of(&Asked { rate: Some(200.0), ..asked(Scenario::Broadcast, 100) }, "u").expect("a plan");
        assert_eq!(plan.misfits(&most), Vec::<String>::new());
        for (limits, variable) in [
            (Limits { thread_members: 99, ..most.clone() }, "THREAD_MEMBERS"),
            (Limits { members_per_minute: 98, ..most.clone() }, "MEMBERS_PER_MINUTE"),
            (Limits { connections_node: 99, ..most.clone() }, "CONNECTIONS_NODE"),
            (Limits { sends_per_second: 1, ..most.clone() }, "SENDS_PER_SECOND"),
            (Limits { frames_per_second: 1, ..most.clone() }, "FRAMES_PER_SECOND"),
            (Limits { content_chars: 127, ..most.clone() }, "CONTENT_CHARS"),
            (Limits { frame_bytes: 600, ..most.clone() }, "FRAME_BYTES"),
        ] {
            let misfits = plan.misfits(&limits);
            assert!(misfits.len() == 1 && misfits[0].contains(&format!("HAILGATE_LIMIT_{variable} ")), "{misfits:?}");
        }
    }

    proptest! {
        #[test]
        fn everybody_is_in_one_thread_and_slow_readers_are_as_many_as_asked_for(
            users in 2_u32..500, room in 2_u32..40, share in 0.0_f64..1.0,
        ) {
            let asked = Asked { room: Some(room.min(users)), share, ..asked(Scenario::Slow, users) };
            let plan = Plan::of(&asked, "u").expect("a plan");
            let mut next = 0;
            for thread in 0..plan.threads() {
                let members = plan.members(thread);
                prop_assert_eq!(members.start, next, "threads follow each other");
                prop_assert!(members.len() >= 2);
                prop_assert!(members.clone().all(|user| plan.thread_of(user) == thread));
                next = members.end;
            }
            prop_assert_eq!(next, users);
            let slow = (0..users).filter(|user| plan.is_slow(*user)).count();
            prop_assert!(f64::from(u32::try_from(slow).expect("few")) <= f64::from(users) * share + 1.0);
        }
    }
}
