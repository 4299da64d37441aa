//! A device: it receives for one user through the storm, comes back with its cursor whenever its connection is gone, and
//! writes down what it saw. It does what the contract asks of a client, and no more: it repairs nothing.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use reqwest::{Method, header::ACCEPT};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    checker::{Event, Fact, Name, Step},
    desk::Desk,
    line::Line,
    plan::{Planted, Way},
    sse::{Sse, Told},
    stage::{Stage, User},
};

/// Up to where a device must come, by thread.
pub type Goal = HashMap<Name, u64>;
/// The event that a deaf device does not hear, once it is chosen.
pub type Unheard = RefCell<Option<(Name, u64)>>;

/// Handed on so many events, a device commits its planted fault.
const PLANTED_AT: u64 = 40;
/// A device that has caught up so often since it knows its goal, and is not there, will never be.
const TRIES: u32 = 3;
/// How long a device that has caught up waits for the rest before it tries again.
const TIMEOUT: Duration = Duration::from_secs(3);

/// See the module.
pub struct Device<'s> {
    stage: &'s Stage,
    user: &'s User,
    way: Way,
    /// What it saw: kept by whoever asked for it, also when the device does not come to its end.
    steps: &'s RefCell<Vec<Step>>,
    last: HashMap<Name, u64>,
    cursor: String,
    goal: watch::Receiver<Option<Goal>>,
    caught_up: bool,
    tries: u32,
    handed_on: u64,
    planted: Option<Planted>,
    /// The event that it does not hear.
    deaf_to: &'s Unheard,
    /// Connections that it opened.
    pub connections: Cell<u64>,
}

impl<'s> Device<'s> {
    /// Looks at what there is; from there on it hears.
    pub async fn begin(
        stage: &'s Stage,
        user: &'s User,
        way: Way,
        steps: &'s RefCell<Vec<Step>>,
        goal: watch::Receiver<Option<Goal>>,
        (planted, deaf_to): (Option<Planted>, &'s Unheard),
    ) -> Device<'s> {
        let (last, cursor, connections) = (HashMap::new(), String::new(), Cell::new(0));
        let (caught_up, tries, handed_on) = (false, 0, 0);
        let mut device = Device {
            stage,
            user,
            way,
            steps,
            last,
            cursor,
            goal,
            caught_up,
            tries,
            handed_on,
            planted,
            deaf_to,
            connections,
        };
        device.load_all().await;
        device
    }

    /// Receives, and by a socket also sends, until everything is there.
    pub async fn run(mut self, desk: &Desk<'_>) -> u64 {
        while !self.is_done(desk) {
            self.connections.set(self.connections.get() + 1);
            match self.way {
                Way::Socket => self.session(desk).await,
                Way::Poll => self.poll().await,
                Way::Stream => self.listen(desk).await,
            }
            if std::mem::take(&mut self.caught_up) && self.goal.borrow().is_some() {
                self.tries += 1;
            }
        }
        self.connections.get()
    }

    fn is_done(&self, desk: &Desk<'_>) -> bool {
        let there = |goal: &Goal| goal.iter().all(|(thread, goal)| self.last.get(thread).is_some_and(|last| last >= goal));
        // What the device of a poll or a stream sends goes another way.
        let clear = self.way != Way::Socket || desk.is_clear();
        clear && self.goal.borrow().as_ref().is_some_and(|goal| there(goal) || self.tries >= TRIES)
    }

    async fn session(&mut self, desk: &Desk<'_>) {
        let Some(mut line) = Line::open(self.stage, self.user, Some(&self.cursor)).await else { return };
        let mut news_at = Instant::now();
        let mut goal = self.goal.clone();
        while !self.is_done(desk) && line.fill(desk).await {
            let news = tokio::select! {
                news = line.next(desk) => news,
                () = desk.stir.notified() => Ok(None),
                _ = goal.changed() => Ok(None),
            };
            match news {
                Ok(Some(frame)) => {
                    if frame["type"] != "cursor" {
                        news_at = Instant::now();
                    }
                    self.frame(&frame).await;
                }
                Ok(None) => {}
                Err(_) => break,
            }
            if self.has_waited(news_at) {
                break;
            }
        }
        line.abandon(desk);
    }

    async fn listen(&mut self, desk: &Desk<'_>) {
        let Some(mut stream) = Sse::open(self.stage, self.user, &self.cursor).await else { return };
        let mut news_at = Instant::now();
        let mut goal = self.goal.clone();
        while !self.is_done(desk) {
            let told = tokio::select! {
                told = stream.next() => told,
                _ = goal.changed() => Ok(None),
            };
            match told {
                Ok(Some(Told { frame, cursor })) => {
                    if frame["type"] != "cursor" {
                        news_at = Instant::now();
                    }
                    self.frame(&frame).await;
                    // As a browser does: the id of the last event that had one.
                    if let Some(cursor) = cursor {
                        self.cursor = cursor;
                    }
                }
                Ok(None) => {}
                Err(_) => return,
            }
            if self.has_waited(news_at) {
                return;
            }
        }
    }

    /// Whether a device that has caught up and knows its goal has waited long enough for the rest.
    fn has_waited(&self, since: Instant) -> bool {
        self.caught_up && self.goal.borrow().is_some() && since.elapsed() > TIMEOUT
    }

    async fn frame(&mut self, frame: &Value) {
        let data = &frame["data"];
        match frame["type"].as_str().expect("a type") {
            "connection_established" if data["resumed"] == false => self.reload().await,
            "caught_up" => {
                self.caught_up = true;
                self.advance(data);
            }
            "cursor" => self.advance(data),
            _ => self.hear(frame).await,
        }
    }

    fn advance(&mut self, data: &Value) {
        data["cursor"].as_str().expect("a cursor").clone_into(&mut self.cursor);
    }

    async fn poll(&mut self) {
        let (port, cursor) = (self.stage.storm.port, &self.cursor);
        let url = format!("http://127.0.0.1:{port}/api/events?since={cursor}&timeout_ms=1000");
        let request = self.stage.client.get(url).bearer_auth(&self.user.token).header(ACCEPT, "application/json");
        let Ok(answer) = request.send().await else { return };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else { return };
        match status {
            200 => {
                let page: Value = serde_json::from_str(&text).expect("JSON");
                let events = page["events"].as_array().expect("events");
                for event in events {
                    self.hear(event).await;
                }
                self.caught_up = events.is_empty();
                self.advance(&page);
            }
            410 => self.reload().await,
            // A head that came too slowly: so slow was the network.
            408 | 500.. => {}
            _ => panic!("a poll was refused: {status} {text}"),
        }
    }

    /// An event of the log, or something that is of no interest.
    async fn hear(&mut self, frame: &Value) {
        let Some(event) = self.stage.names.borrow_mut().event(frame) else { return };
        let last = self.last.get(&event.thread).copied().unwrap_or(0);
        // The contract's rule for clients: what is not above the last of its thread has come before.
        let handed_on = event.sequence > last;
        if self.is_deaf_to(&event, handed_on) {
            return;
        }
        let joined = matches!(&event.fact, Fact::Joined(who) if *who == self.user.name);
        let thread = Name::clone(&event.thread);
        if handed_on {
            self.handed_on += 1;
            self.last.insert(Name::clone(&thread), event.sequence);
        }
        let echo = handed_on && self.planted == Some(Planted::Echo) && self.handed_on == PLANTED_AT;
        let step = Step::Heard { event, handed_on };
        self.steps.borrow_mut().extend(echo.then(|| step.clone()));
        self.steps.borrow_mut().push(step);
        if handed_on && joined {
            // Whoever becomes a member loads the thread, and counts from this event.
            self.load(&thread, 0).await;
        }
    }

    fn is_deaf_to(&mut self, event: &Event, handed_on: bool) -> bool {
        if self.planted != Some(Planted::Deaf) {
            return false;
        }
        let mut deaf_to = self.deaf_to.borrow_mut();
        if deaf_to.is_none() && handed_on && self.handed_on >= PLANTED_AT && matches!(event.fact, Fact::Posted(_)) {
            *deaf_to = Some((Name::clone(&event.thread), event.sequence));
        }
        *deaf_to == Some((Name::clone(&event.thread), event.sequence))
    }

    /// The cursor does not hold: what there is takes the place of what was missed.
    async fn reload(&mut self) {
        self.steps.borrow_mut().push(Step::Reset);
        self.load_all().await;
    }

    async fn load_all(&mut self) {
        let page = self.stage.ask(self.user, Method::GET, "/api/threads?limit=100", None).await;
        self.advance(&page);
        for shown in page["threads"].as_array().expect("threads") {
            let thread = self.stage.names.borrow_mut().of(shown["thread_id"].as_str().expect("an id"));
            let after = self.last.get(&thread).copied().unwrap_or(0);
            if let Some(through) = self.load(&thread, after).await {
                let last = self.last.entry(thread).or_insert(0);
                *last = through.max(*last);
            }
        }
    }

    /// Loads a thread's messages after a sequence; up to where. `None` if the user is no longer a member.
    async fn load(&self, thread: &Name, after: u64) -> Option<u64> {
        let shown = self.stage.try_ask(self.user, Method::GET, &format!("/api/threads/{thread}"), None).await.ok()?;
        let through = shown["sequence"].as_u64().expect("a sequence");
        let (mut messages, mut from) = (Vec::new(), after);
        loop {
            let path = format!("/api/messages?thread_id={thread}&after={from}&limit=100");
            let page = self.stage.try_ask(self.user, Method::GET, &path, None).await.ok()?;
            let mut names = self.stage.names.borrow_mut();
            let rows = page["messages"].as_array().expect("messages").iter().map(|row| names.row(row).expect("a message"));
            messages.extend(rows.map(|row| (row.sequence, row.message)));
            match messages.last() {
                Some((last, _)) if page["has_more"] == true => from = *last,
                _ => break,
            }
        }
        self.steps.borrow_mut().push(Step::Loaded { thread: Name::clone(thread), after, through, messages });
        Some(through)
    }
}
