//! A worker of the generator: one thread that holds the sockets of its users and sends when it is time.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::{io::unix::AsyncFd, sync::Semaphore};

use super::{
    checker::{Court, Name},
    device::{self, Device},
    dial::Dial,
    frames::Data,
    member::{Member, Orders, Waiting},
    meter::Meter,
    pace::Pace,
    plan::{Plan, Scenario},
    rest::Rest,
    target::Target,
};

/// How often a worker looks at the time of the whole run.
const TICK: Duration = Duration::from_millis(50);
/// A connection that is silent for so long beyond the server's pings is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// Sends in a row, after which others get their turn.
const SENDS_AT_ONCE: u32 = 64;
/// Requests of one worker that are under way at once.
const POSTS_MAX: usize = 256;
/// Least time between two typing notices of one user: a server takes one a second.
const TYPING: Duration = Duration::from_millis(1_500);

/// What all workers and the one who leads them look at.
pub struct Common {
    /// What is done.
    pub plan: Plan,
    /// How sockets are opened.
    pub dial: Dial,
    /// Where to.
    pub target: Target,
    /// Tells the retry keys of this run from those of others.
    pub mark: u32,
    /// Moments are counted from here.
    pub origin: Instant,
    /// Users with their tokens.
    pub users: Vec<(Name, Box<str>)>,
    /// Threads with the sequence at which the run begins.
    pub threads: Vec<(Name, u64)>,
    /// Who judges.
    pub court: Mutex<Court>,
    /// When the measured part begins.
    pub start: OnceLock<Instant>,
    /// Set when nothing more is sent: on Ctrl-C, at the end of a closed loop, or when an open loop does not get on.
    pub stopped: AtomicBool,
    /// Where each thread ends, once nothing more is sent.
    pub heads: OnceLock<Vec<u64>>,
    /// When everything is over.
    pub over: AtomicBool,
    /// Users who were connected at least once, and sockets that are open.
    pub met: AtomicU64,
    /// See `met`.
    pub open: AtomicU64,
    /// What each worker counts.
    pub desks: Vec<Desk>,
}

/// What one worker counts.
#[derive(Default)]
pub struct Desk {
    meter: Mutex<Meter>,
    /// Messages on their way.
    pub waiting: AtomicU64,
    /// Messages of an open loop that are not sent yet. Those that are late when the measured time is over are sent all the same.
    pub planned: AtomicU64,
    /// Users who have not been handed everything, once it is known what that is.
    pub behind: AtomicU64,
}

impl Desk {
    /// What was counted so far, to count on.
    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Common {
    /// The judge.
    pub fn court(&self) -> MutexGuard<'_, Court> {
        self.court.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the origin.
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn is_sending(&self) -> bool {
        let within = |start: &Instant| start.elapsed() < self.plan.duration;
        self.start.get().is_some_and(within) && !self.stopped.load(Relaxed)
    }
}

/// See the module.
pub struct Worker {
    /// What all look at.
    pub common: Arc<Common>,
    /// REST, over connections of its own.
    pub rest: Rest,
    /// Requests that may be under way at once.
    pub places: Semaphore,
    me: Weak<Worker>,
    number: u32,
    members: Vec<Rc<Member>>,
    pace: RefCell<Pace>,
    typed: RefCell<BTreeMap<u32, Instant>>,
}

impl Worker {
    /// Runs the worker of this number until everything is over.
    ///
    /// # Errors
    /// The system gives no runtime or no timer.
    pub fn run(common: &Arc<Common>, number: u32) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the system gives no runtime: {error}"))?;
        tokio::task::LocalSet::new().block_on(&runtime, Worker::work(Arc::clone(common), number))
    }

    async fn work(common: Arc<Common>, number: u32) -> Result<(), String> {
        let plan = common.plan.clone();
        let own = move |user: &u32| user % plan.workers == number;
        let plan = &common.plan;
        let member = |user: u32| {
            let thread = plan.thread_of(user);
            let (id, base) = &common.threads[thread as usize];
            let (name, token) = &common.users[user as usize];
            let who = (Name::clone(name), token.clone());
            Rc::new(Member::new(user, who, (thread, Name::clone(id)), plan.is_slow(user), *base))
        };
        let members: Vec<Rc<Member>> = (0..plan.users).filter(&own).map(member).collect();
        let rate = plan.told.rate.unwrap_or(1.0);
        let until = if plan.told.rate.is_some() { plan.duration } else { Duration::MAX };
        let pace = Pace::new(plan.senders(), rate, until, plan.told.seed, |user| own(&user));
        common.desks[number as usize].planned.store(pace.planned(), Relaxed);
        let pace = RefCell::new(pace);
        let rest = Rest::new(common.target.clone())?;
        let typed = RefCell::default();
        let worker = Rc::new_cyclic(|me| {
            let (me, places, common) = (me.clone(), Semaphore::new(POSTS_MAX), Arc::clone(&common));
            Worker { common, rest, places, me, number, members, pace, typed }
        });
        let timer = Timer::new().map_err(|error| format!("the system gives no timer: {error}"))?;
        let devices: Vec<_> = worker.members.iter().map(|member| Device::begin(&worker, member)).collect();
        let devices: Vec<_> = devices.into_iter().map(|device| tokio::task::spawn_local(device.run())).collect();
        let pacing = tokio::task::spawn_local(Rc::clone(&worker).send(timer));
        worker.watch().await;
        pacing.abort();
        for device in devices {
            // A device that panicked has told so; what it did not see counts as lost.
            let _ = device.await;
        }
        Ok(())
    }

    /// What it counts into.
    pub fn desk(&self) -> &Desk {
        &self.common.desks[self.number as usize]
    }

    /// Sends when it is time: in an open loop at the moments of the plan, else when an acknowledgement makes room.
    async fn send(self: Rc<Self>, timer: Timer) {
        let start = loop {
            match self.common.start.get() {
                Some(start) => break *start,
                None => tokio::time::sleep(TICK).await,
            }
        };
        let ahead = start.saturating_duration_since(Instant::now());
        tokio::time::sleep(ahead).await;
        if let Some(window) = self.common.plan.told.window {
            let (workers, number) = (u64::from(self.common.plan.workers), u64::from(self.number));
            (0..window).filter(|place| place % workers == number).for_each(|_| self.fill());
            return;
        }
        let mut in_a_row = 0;
        loop {
            let Some((moment, user)) = self.pace.borrow().peek() else { return };
            let (due, now) = (start + moment, Instant::now());
            if due > now {
                in_a_row = 0;
                if timer.after(due - now).await.is_err() {
                    tokio::time::sleep(due - now).await;
                }
                continue;
            }
            if self.common.stopped.load(Relaxed) {
                return;
            }
            self.pace.borrow_mut().take();
            self.desk().meter().late(now - due);
            self.say(user, due - self.common.origin);
            // After `say`, which counts the message as waiting: the sum of both is 0 only when everything is answered.
            self.desk().planned.fetch_sub(1, Relaxed);
            in_a_row += 1;
            if in_a_row % SENDS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// In a closed loop: one more message, now.
    pub fn fill(&self) {
        if self.common.plan.told.window.is_some() && (self.common.is_sending()) {
            let user = self.pace.borrow_mut().turn();
            user.into_iter().for_each(|user| self.say(user, self.common.now()));
        }
    }

    fn say(&self, user: u32, intended: Duration) {
        let member = &self.members[(user / self.common.plan.workers) as usize];
        let by_rest = match self.common.plan.scenario {
            Scenario::Rest => true,
            Scenario::Mixed => (u64::from(user) + member.drafted()) % 2 == 1,
            _ => false,
        };
        let Some(draft) = member.draft(intended, by_rest) else {
            self.desk().meter().counts.unsent += 1;
            return;
        };
        self.desk().waiting.fetch_add(1, Relaxed);
        if self.common.plan.scenario == Scenario::Mixed {
            self.beside(member);
        }
        match self.me.upgrade() {
            Some(worker) if by_rest => drop(tokio::task::spawn_local(device::post(worker, Rc::clone(member), draft))),
            _ => member.stir(),
        }
    }

    /// A message leaves, for the first time or once more.
    pub fn sent(&self, waiting: &mut Waiting) {
        waiting.flying = true;
        waiting.tries += 1;
        let mut meter = self.desk().meter();
        if waiting.tries == 1 {
            meter.counts.sent += 1;
            meter.counts.sent_by_rest += u64::from(waiting.by_rest);
        } else {
            meter.counts.retried += 1;
        }
    }

    /// A message was acknowledged: this is how it was shown.
    pub fn stored(&self, member: &Member, number: u64, shown: &str) {
        let Some(waiting) = member.answered(number) else { return };
        self.desk().waiting.fetch_sub(1, Relaxed);
        if member.held_back.get() {
            member.stir();
        }
        {
            let mut meter = self.desk().meter();
            meter.counts.acknowledged += 1;
            meter.ack.record(self.common.now().saturating_sub(waiting.draft.intended));
        }
        match Data::acknowledged(shown, &member.name, &member.thread_id) {
            Some(ack) => self.common.court().acknowledged(&ack),
            None => self.desk().meter().error("unreadable_acknowledgement"),
        }
        self.fill();
    }

    /// A message was refused for good.
    pub fn given_up(&self, member: &Member, number: u64) {
        if member.answered(number).is_some() {
            self.desk().waiting.fetch_sub(1, Relaxed);
            self.desk().meter().counts.unsent += 1;
            self.fill();
        }
    }

    /// A typing notice before a message, and a read marker.
    fn beside(&self, member: &Member) {
        let mut typed = self.typed.borrow_mut();
        let typing = typed.get(&member.number).is_none_or(|last| last.elapsed() > TYPING);
        if typing {
            typed.insert(member.number, Instant::now());
        }
        member.order(|orders| (orders.typing, orders.read) = (typing, true));
    }

    /// Follows the run: breaks what is to be broken, cuts what is silent, counts who is behind, and ends.
    async fn watch(&self) {
        let (mut broken, mut paused, mut resumed) = (false, false, false);
        let plan = &self.common.plan;
        while !self.common.over.load(Relaxed) {
            tokio::time::sleep(TICK).await;
            let elapsed = self.common.start.get().map_or(Duration::ZERO, Instant::elapsed);
            let everybody = |give: fn(&mut Orders), slow: bool| {
                self.members.iter().filter(|member| member.slow || !slow).for_each(|member| member.order(give));
            };
            if plan.scenario == Scenario::Storm && !broken && elapsed > plan.duration / 2 {
                broken = true;
                everybody(|orders| orders.drop = true, false);
            }
            let end = elapsed > plan.duration * 5 / 6 || self.common.stopped.load(Relaxed);
            if plan.scenario == Scenario::Slow && !paused && elapsed > plan.duration / 6 {
                paused = true;
                everybody(|orders| orders.pause = true, true);
            } else if paused && !resumed && end {
                resumed = true;
                everybody(|orders| orders.pause = false, true);
            }
            for member in self.members.iter().filter(|member| member.heard.get().elapsed() > SILENCE) {
                member.heard.set(Instant::now());
                if !(member.slow && paused && !resumed) {
                    member.order(|orders| orders.drop = true);
                }
            }
            if let Some(heads) = self.common.heads.get() {
                let behind = self.members.iter().filter(|member| member.last.get() < heads[member.thread as usize]);
                self.desk().behind.store(behind.count() as u64, Relaxed);
            }
        }
        self.members.iter().for_each(|member| member.order(|orders| orders.end = true));
    }
}

/// A timer of the system's: that of the runtime counts in milliseconds, and would add up to two to each latency.
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[allow(deprecated, reason = "the other way in is unsafe; an OwnedFd is nobody else's and stays open as long as this")]
    fn new() -> std::io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Timer(AsyncFd::new(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?)?))
    }

    async fn after(&self, time: Duration) -> std::io::Result<()> {
        let value = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos().max(1)),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        rustix::time::timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expired = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expired)?));
            if let Ok(done) = read {
                return done.map(drop);
            }
        }
    }
}
