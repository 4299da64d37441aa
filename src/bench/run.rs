//! A run from beginning to end: what the server allows, threads, workers, the measured part, and the verdict.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use tokio_tungstenite::Connector;

use super::{
    checker::{Court, History, Kept, Name},
    crew::{Common, Desk, Worker},
    dial::Dial,
    frames::Frame,
    machine::Process,
    plan::Plan,
    rest::Rest,
    results::{self, Results, Second},
    tally::Tally,
    target::Target,
};
use crate::domain::Limits;

/// Everything that a run needs to know.
pub struct Order {
    /// What to do.
    pub plan: Plan,
    /// Where.
    pub target: Target,
    /// How sockets speak TLS.
    pub connector: Connector,
    /// Users with their tokens: as many as the plan has.
    pub users: Vec<(String, String)>,
    /// The server's process, if it runs here.
    pub server: Option<u32>,
    /// Tells this run from others.
    pub mark: u32,
    /// RFC 3339.
    pub started_at: String,
    /// This program's.
    pub version: String,
}

/// Why there are no results.
#[derive(Debug)]
pub enum Trouble {
    /// The server cannot be reached, or does not let the users in.
    Unreachable(String),
    /// The plan does not fit the server or this machine.
    Misfit(Vec<String>),
    /// Anything else.
    Failed(String),
}

/// Where a run is, for whoever watches.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Users come.
    Connecting {
        /// How many have.
        connected: u64,
        /// Of how many.
        users: u64,
    },
    /// A second of the measured part is over.
    Second(&'a Second),
    /// The last messages arrive, and histories are read.
    Settling,
}

/// How long users may take to come beyond the ramp.
const COMING: Duration = Duration::from_secs(60);
/// How long nothing may move until what is missing counts as lost.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all that may last.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
/// Requests at once while a run is prepared and judged.
const LANES: usize = 16;
/// Most messages of all histories that are read at the end; the newest of each thread.
const ROWS_MAX: u64 = 100_000;
/// Events and keys that are kept to be compared.
const KEPT: usize = 200_000;
/// Members who read a history by turns, so that none of them reads too much.
const READERS: u32 = 32;
/// Files beside sockets.
const FILES_BESIDE: u64 = 512;
/// From giving the word to the first message.
const AHEAD: Duration = Duration::from_millis(200);

/// Runs it. `stop` ends the measured part early, and the second time everything; `tell` is called about once a second.
///
/// # Errors
/// Why there is no result.
pub async fn run<S: Future<Output = ()>>(
    order: Order,
    stop: impl Fn() -> S,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Results, Trouble> {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let needed = u64::from(order.plan.users) + FILES_BESIDE;
    if files < needed {
        let what = format!("open files: {needed}, and the system allows {files}; raise it with ulimit -n");
        return Err(Trouble::Misfit(vec![what]));
    }
    if let Some(pid) = order.server.filter(|pid| Process::new(Some(*pid)).resident().is_none()) {
        return Err(Trouble::Misfit(vec![format!("--server-pid: there is no process {pid} here")]));
    }
    let common = Arc::new(prepare(&order).await?);
    let mut tally = Tally::new(order.server);
    let mut workers = Vec::new();
    for number in 0..common.plan.workers {
        let common = Arc::clone(&common);
        let worker = std::thread::Builder::new().name(format!("worker {number}"));
        let worker = worker.spawn(move || Worker::run(&common, number));
        workers.push(worker.map_err(|error| Trouble::Failed(format!("the system gives no thread: {error}")))?);
    }
    let done = async {
        come(&common, &mut tally, tell).await?;
        let start = Instant::now() + AHEAD;
        let _ = common.start.set(start);
        tally.begin(start);
        measure(&common, start, &mut tally, stop(), tell).await;
        tell(Progress::Settling);
        tokio::select! {
            settled = settle(&common) => settled,
            () = stop() => Err(Trouble::Failed("ended before there was a verdict".to_owned())),
        }
    }
    .await;
    common.over.store(true, Relaxed);
    let histories = done?;
    histories.iter().for_each(|history| common.court().history(history));
    let worked: Result<Vec<()>, String> = tokio::task::spawn_blocking(move || {
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err("a worker failed".to_owned()))).collect()
    })
    .await
    .unwrap_or_else(|_| Err("a worker failed".to_owned()));
    worked.map_err(Trouble::Failed)?;
    tally.second(&common.desks, 0, false);
    Ok(tell_all(&order, &common, tally))
}

/// Looks at the server's limits and makes the threads.
async fn prepare(order: &Order) -> Result<Common, Trouble> {
    let Order { plan, target, users, .. } = order;
    let dial = Dial::new(target.clone(), order.connector.clone(), plan.users);
    let Some((_, first)) = users.first() else { return Err(Trouble::Failed("there are no users".to_owned())) };
    let limits = limits(&dial, first).await?;
    let misfits = plan.misfits(&limits);
    if !misfits.is_empty() {
        return Err(Trouble::Misfit(misfits));
    }
    let rest = Rest::new(target.clone()).map_err(Trouble::Failed)?;
    let made = futures_util::stream::iter(0..plan.threads()).map(|thread| {
        let members = plan.members(thread);
        let (owner, others) = (&users[members.start as usize].1, members.start + 1..members.end);
        let others: Vec<&str> = others.map(|user| users[user as usize].0.as_str()).collect();
        let rest = &rest;
        async move { rest.create(owner, &others).await }
    });
    let made: Vec<Result<(Name, u64), String>> = made.buffered(LANES).collect().await;
    let threads: Vec<(Name, u64)> = made.into_iter().collect::<Result<_, _>>().map_err(Trouble::Unreachable)?;
    let events = (KEPT / threads.len().max(1)).max(64);
    Ok(Common {
        dial,
        target: target.clone(),
        mark: order.mark,
        origin: Instant::now(),
        users: users.iter().map(|(name, token)| (Name::from(name.as_str()), token.clone().into())).collect(),
        threads,
        court: Mutex::new(Court::new(Kept { events, keys: KEPT })),
        start: OnceLock::new(),
        stopped: AtomicBool::new(false),
        heads: OnceLock::new(),
        over: AtomicBool::new(false),
        met: AtomicU64::new(0),
        open: AtomicU64::new(0),
        desks: (0..plan.workers).map(|_| Desk::default()).collect(),
        plan: plan.clone(),
    })
}

/// The limits in force, as the first frame tells them.
async fn limits(dial: &Dial, token: &str) -> Result<Limits, Trouble> {
    let refused = |code: &str| {
        let remedy = match code {
            "not_connected" => "is it running there?",
            "unauthenticated" | "bad_credentials" | "token_expired" | "unknown_user" => "are these its tokens?",
            _ => "what does its log say?",
        };
        Trouble::Unreachable(format!("the server does not let the first user in ({code}): {remedy}"))
    };
    let mut socket = dial.open(0, token, None, false).await.map_err(|error| refused(&error.code))?;
    let first = tokio::time::timeout(SETTLE_TIMEOUT, socket.next()).await;
    let Ok(Some(Ok(first))) = first else { return Err(refused("no_first_frame")) };
    let text = first.into_text().unwrap_or_default();
    let mut limits = Limits::default();
    let told = serde_json::from_str::<Frame<'_>>(&text).ok().and_then(|frame| frame.data.limits);
    let Some(told) = told else { return Err(refused("no_first_frame")) };
    let told: std::collections::BTreeMap<String, u64> = serde_json::from_str(told.get()).unwrap_or_default();
    for (name, value) in told {
        limits.set(&name, value);
    }
    Ok(limits)
}

/// Waits until every user is connected.
async fn come(common: &Common, tally: &mut Tally, tell: &mut dyn FnMut(Progress<'_>)) -> Result<(), Trouble> {
    let (began, users) = (Instant::now(), u64::from(common.plan.users));
    let mut told = began;
    loop {
        let connected = common.met.load(Relaxed);
        if connected >= users {
            return Ok(());
        }
        if began.elapsed() > common.plan.ramp + COMING {
            tally.second(&common.desks, 0, false);
            let errors = tally.errors();
            let why = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join(", ")) };
            return Err(Trouble::Unreachable(format!("only {connected} of {users} users could connect{why}")));
        }
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            tally.second(&common.desks, connected, false);
            tell(Progress::Connecting { connected, users });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The measured part, a second at a time.
async fn measure(
    common: &Common,
    start: Instant,
    tally: &mut Tally,
    stop: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress<'_>),
) {
    let end = start + common.plan.duration;
    let (mut next, mut stop) = (start, pin!(stop));
    while next < end {
        next = (next + Duration::from_secs(1)).min(end);
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            () = &mut stop => {
                common.stopped.store(true, Relaxed);
                next = end;
            }
        }
        tally.second(&common.desks, common.open.load(Relaxed), true);
        tally.seconds.last().into_iter().for_each(|second| tell(Progress::Second(second)));
    }
    // In an open loop the messages that are late are sent all the same: otherwise a slow machine would shorten the plan.
    if common.plan.told.window.is_some() {
        common.stopped.store(true, Relaxed);
    }
}

/// Waits for the last sends, acknowledgements and deliveries, and reads what history tells.
async fn settle(common: &Common) -> Result<Vec<History>, Trouble> {
    let sum = |of: fn(&Desk) -> &AtomicU64| common.desks.iter().map(|desk| of(desk).load(Relaxed)).sum::<u64>();
    let planned = || if common.stopped.load(Relaxed) { 0 } else { sum(|desk| &desk.planned) };
    still(|| planned() + sum(|desk| &desk.waiting)).await;
    common.desks[0].meter().counts.unsent += planned();
    common.stopped.store(true, Relaxed);
    let rest = Rest::new(common.target.clone()).map_err(Trouble::Failed)?;
    let token = |user: u32| &*common.users[user as usize].1;
    let heads = futures_util::stream::iter((0..).zip(&common.threads)).map(|(number, (thread, _))| {
        let (rest, owner) = (&rest, token(common.plan.members(number).start));
        async move { rest.head(owner, thread).await }
    });
    let heads: Vec<Result<u64, String>> = heads.buffered(LANES).collect().await;
    let heads: Vec<u64> = heads.into_iter().collect::<Result<_, _>>().map_err(Trouble::Unreachable)?;
    common.desks.iter().for_each(|desk| desk.behind.store(u64::MAX / 1_024, Relaxed));
    let _ = common.heads.set(heads.clone());
    still(|| sum(|desk| &desk.behind)).await;
    let each = (ROWS_MAX / common.threads.len().max(1) as u64).max(100);
    let histories = futures_util::stream::iter((0..).zip(&common.threads).zip(&heads)).map(|((number, thread), head)| {
        let members = common.plan.members(number);
        let tokens: Vec<&str> = members.take(READERS as usize).map(token).collect();
        let ((name, base), rest) = (thread, &rest);
        async move { rest.history(&tokens, name, *head, head.saturating_sub(each).max(*base)).await }
    });
    let histories: Vec<Result<History, String>> = histories.buffered(LANES).collect().await;
    histories.into_iter().collect::<Result<_, _>>().map_err(Trouble::Unreachable)
}

/// Waits until a number is 0, or does not move any more.
async fn still(number: impl Fn() -> u64) {
    let began = Instant::now();
    let (mut last, mut moved) = (number(), began);
    while last > 0 && moved.elapsed() < SETTLE_TIMEOUT && began.elapsed() < DRAIN_TIMEOUT {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = number();
        if now != last {
            (last, moved) = (now, Instant::now());
        }
    }
}

fn tell_all(order: &Order, common: &Common, tally: Tally) -> Results {
    let court = std::mem::replace(&mut *common.court(), Court::new(Kept { events: 0, keys: 0 }));
    let plan = results::Plan { duration_s: tally.measured().as_secs_f64(), ..order.plan.told.clone() };
    let unsent = common.desks.iter().map(|desk| desk.waiting.load(Relaxed)).sum();
    tally.results(plan, &court.verdict(), unsent, order.version.clone(), order.started_at.clone())
}
