//! A campaign from beginning to end: everybody sends and receives through the storm, members come and go, the server is
//! killed; then everybody is told how far they must come, and the checker gets what all of them wrote down.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    fmt,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all, join4};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    checker::{self, Event, Fact, History, Name, Record, Step, Stream, Tenure, Verdict},
    desk::{Desk, Draft},
    device::{Device, Goal},
    dice::Dice,
    plan::{Plan, Way},
    stage::Stage,
};

/// A campaign that takes longer than this has come to a stop.
const CAMPAIGN_MAX: Duration = Duration::from_secs(1_800);

/// What came of it.
pub struct Outcome {
    pub record: Record,
    pub verdict: Verdict,
    /// The event that a deaf device did not hear.
    pub unheard: Option<(Name, u64)>,
    figures: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.figures, self.verdict)
    }
}

/// What all parts of a running campaign look at.
struct Scene<'s> {
    plan: &'s Plan,
    stage: &'s Stage,
    /// How many messages are acknowledged.
    sent: &'s watch::Sender<u64>,
    goals: &'s [watch::Sender<Option<Goal>>],
}

/// Runs a campaign.
pub async fn run(plan: &Plan) -> Outcome {
    let began = Instant::now();
    let mut dice = Dice::new(plan.seed);
    let stage = Stage::set(plan, &mut dice).await;
    let sent = watch::Sender::new(0);
    let goals: Vec<_> = stage.users.iter().map(|_| watch::Sender::new(None)).collect();
    let seen: Vec<RefCell<Vec<Step>>> = stage.users.iter().map(|_| RefCell::default()).collect();
    let unheard = RefCell::new(None);
    let scene = Scene { plan, stage: &stage, sent: &sent, goals: &goals };
    let desks = scene.desks(&mut dice);
    let mut devices = Vec::new();
    for (number, user) in stage.users.iter().enumerate() {
        let planted = plan.planted.filter(|_| number == 0);
        let goal = goals[number].subscribe();
        devices.push(Device::begin(&stage, user, Way::of(number), &seen[number], goal, (planted, &unheard)).await);
    }
    let heads = scene.heads().await;
    let whole = join4(
        join_all(devices.into_iter().zip(&desks).map(|(device, desk)| device.run(desk))),
        join_all(desks.iter().map(Desk::post_all)),
        join_all(desks.iter().enumerate().filter(|(user, _)| Way::of(*user) != Way::Socket).map(|(_, desk)| desk.say_all())),
        scene.conduct(heads, dice.fork(), dice.fork()),
    );
    let Ok((connections, _, _, (tenures, histories, replays))) = tokio::time::timeout(CAMPAIGN_MAX, whole).await else {
        panic!("seed {}: it came to a stop with {} of {} messages acknowledged", plan.seed, *sent.borrow(), plan.messages);
    };
    let over = |transport: usize| desks.iter().map(|desk| desk.over[transport].get()).sum::<u64>();
    let figures = format!(
        "seed {}: {} users, {} threads, {} by REST, {} by socket, {} sent again, {} connections of devices, {} at the storm, {} kills, {:.1} s",
        plan.seed,
        plan.users,
        plan.threads,
        over(0),
        over(1),
        desks.iter().map(|desk| desk.retries.get()).sum::<u64>(),
        connections.iter().sum::<u64>(),
        stage.storm.accepted(),
        plan.kills,
        began.elapsed().as_secs_f64(),
    );
    let streams = stage.users.iter().zip(seen);
    let streams = streams.map(|(user, steps)| Stream { user: Name::clone(&user.name), steps: steps.into_inner() });
    let record = Record {
        acknowledged: desks.iter().flat_map(Desk::acknowledged).collect(),
        tenures,
        streams: streams.chain(replays).collect(),
        histories,
    };
    Outcome { verdict: checker::judge(&record), record, unheard: unheard.into_inner(), figures }
}

impl<'s> Scene<'s> {
    /// Everybody's drafts: to the threads they stay in, in turn.
    fn desks(&self, dice: &mut Dice) -> Vec<Desk<'s>> {
        let Scene { plan, stage, .. } = self;
        let mut desk = |number: usize, user| {
            let threads = plan.threads_of(number);
            let share = (number..plan.messages).step_by(plan.users);
            let drafts = share.enumerate().map(|(turn, message)| Draft {
                thread: Name::clone(&stage.threads[threads[turn % threads.len()]]),
                key: format!("{number}/{message}"),
                content: format!("message {message} \u{1f600} of {number}"),
            });
            Desk::new(stage, user, drafts.collect(), self.sent, dice.fork())
        };
        stage.users.iter().enumerate().map(|(number, user)| desk(number, user)).collect()
    }

    /// A cursor of each owner before anything is sent, and where their own thread ends then.
    async fn heads(&self) -> Vec<String> {
        let mut heads = Vec::new();
        for owner in &self.stage.users[..self.plan.threads] {
            let page = self.stage.ask(owner, Method::GET, "/api/threads?limit=1", None).await;
            heads.push(page["cursor"].as_str().expect("a cursor").to_owned());
        }
        heads
    }

    async fn conduct(&self, heads: Vec<String>, killing: Dice, coming: Dice) -> (Vec<Tenure>, Vec<History>, Vec<Stream>) {
        let ((), changed) = join(self.kill(killing), self.come_and_go(coming)).await;
        self.acknowledged(self.plan.messages as u64).await;
        self.stage.storm.heal();
        let (mut tenures, mut histories, mut replays, mut told) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (thread, head) in heads.iter().enumerate() {
            let events = match self.plan.resume_events {
                None => self.replay(thread, head).await,
                Some(_) => Vec::new(),
            };
            let own: Vec<&Event> = events.iter().filter(|event| event.thread == self.stage.threads[thread]).collect();
            told += own.iter().filter(|event| matches!(event.fact, Fact::Joined(_) | Fact::Left(_))).count();
            tenures.extend(self.tenures(thread, &own));
            histories.push(self.stage.history(thread).await);
            replays.extend((!events.is_empty()).then(|| self.as_stream(thread, events)));
        }
        assert_eq!(told, changed, "seed {}: each change of members is one event", self.plan.seed);
        let heads: HashMap<&str, u64> = histories.iter().map(|history| (&*history.thread, history.head)).collect();
        let mut goals = vec![Goal::new(); self.plan.users];
        let users = self.stage.by_name();
        for Tenure { user, thread, until, .. } in &tenures {
            let goal = goals[users[user]].entry(Name::clone(thread)).or_insert(0);
            *goal = until.unwrap_or(heads[&**thread]).max(*goal);
        }
        for (sender, goal) in self.goals.iter().zip(goals) {
            sender.send_replace(Some(goal));
        }
        (tenures, histories, replays)
    }

    /// Waits until so many messages are acknowledged.
    async fn acknowledged(&self, number: u64) {
        let mut sent = self.sent.subscribe();
        sent.wait_for(|sent| *sent >= number).await.expect("somebody counts");
    }

    /// Kills the server at random moments, one in each of as many equal parts.
    async fn kill(&self, mut dice: Dice) {
        let part = self.plan.messages as u64 / self.plan.kills.max(1);
        for round in 0..self.plan.kills {
            self.acknowledged(round * part + dice.below(part)).await;
            self.stage.kill().await;
        }
    }

    /// Lets users who do not stay in a thread become members and cease to be, evenly over the campaign; how often.
    async fn come_and_go(&self, mut dice: Dice) -> usize {
        let Scene { plan, stage, .. } = self;
        let mut members: HashSet<(usize, usize)> = HashSet::new();
        let mut changed = 0;
        for change in 0..plan.changes {
            self.acknowledged((change * plan.messages / plan.changes) as u64).await;
            let draw = |end: usize, dice: &mut Dice| usize::try_from(dice.below(end as u64)).expect("small");
            let (user, thread) = (draw(plan.users, &mut dice), draw(plan.threads, &mut dice));
            // One who has come goes next, so that users come back too.
            let going = members.iter().copied().min().filter(|_| dice.chance(45));
            let (user, thread) = going.unwrap_or((user, thread));
            if plan.threads_of(user).contains(&thread) {
                continue;
            }
            let path = format!("/api/threads/{}/members/{}", stage.threads[thread], stage.users[user].name);
            let going = !members.insert((user, thread));
            if going {
                members.remove(&(user, thread));
            }
            let (method, body) = if going { (Method::DELETE, None) } else { (Method::PUT, Some(json!({}))) };
            let done = stage.try_ask(&stage.users[thread], method, &path, body).await;
            // Asked again because the answer was lost, the one who is gone cannot be removed.
            assert!(done.is_ok() || (going && done == Err(404)), "{path}: {done:?}");
            changed += 1;
        }
        changed
    }

    /// Everything that happened to the owner of a thread, as they are told it at the end in one go.
    async fn replay(&self, thread: usize, head: &str) -> Vec<Event> {
        let (owner, mut cursor, mut all) = (&self.stage.users[thread], head.to_owned(), Vec::new());
        loop {
            let path = format!("/api/events?since={cursor}&timeout_ms=0");
            let page: Value = self.stage.ask(owner, Method::GET, &path, None).await;
            let events = page["events"].as_array().expect("events");
            if events.is_empty() {
                return all;
            }
            let mut names = self.stage.names.borrow_mut();
            all.extend(events.iter().filter_map(|event| names.event(event)));
            page["cursor"].as_str().expect("a cursor").clone_into(&mut cursor);
        }
    }

    /// Who was a member from when to when: those who stay, and those whom the thread's events name.
    fn tenures(&self, thread: usize, events: &[&Event]) -> Vec<Tenure> {
        let name = &self.stage.threads[thread];
        let tenure = |user: &Name, from| Tenure { user: Name::clone(user), thread: Name::clone(name), from, until: None };
        let staying = (0..self.plan.users).filter(|user| self.plan.threads_of(*user).contains(&thread));
        let mut tenures: Vec<Tenure> = staying.map(|user| tenure(&self.stage.users[user].name, 1)).collect();
        for event in events {
            match &event.fact {
                Fact::Joined(user) => tenures.push(tenure(user, event.sequence)),
                Fact::Left(user) => {
                    let open = tenures.iter_mut().find(|tenure| tenure.user == *user && tenure.until.is_none());
                    open.expect("who leaves was a member").until = Some(event.sequence);
                }
                _ => {}
            }
        }
        tenures
    }

    /// A replay as what one more device of the owner saw, which began when each thread held nothing but its creation.
    fn as_stream(&self, owner: usize, events: Vec<Event>) -> Stream {
        let mut last: HashMap<Name, u64> = HashMap::new();
        let mut steps = Vec::new();
        for thread in self.plan.threads_of(owner).into_iter().map(|thread| Name::clone(&self.stage.threads[thread])) {
            last.insert(Name::clone(&thread), 1);
            steps.push(Step::Loaded { thread, after: 0, through: 1, messages: Vec::new() });
        }
        steps.extend(events.into_iter().map(|event| {
            let last = last.entry(Name::clone(&event.thread)).or_insert(0);
            let handed_on = event.sequence > *last;
            *last = event.sequence.max(*last);
            Step::Heard { event, handed_on }
        }));
        Stream { user: Name::clone(&self.stage.users[owner].name), steps }
    }
}
