//! The socket of one user: opened, held, lost, opened again where its cursor is. It does what the contract asks of a
//! client and tells the judge everything it sees.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    checker::{Fact, Follower, Name, Step, Tenure},
    crew::Worker,
    dial::Socket,
    frames::{Draft, Frame, intended},
    member::{Member, Orders},
};
use crate::{domain::Chance, error::Code};

/// First wait before a connection is opened again where the server does not say; it doubles up to the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Wait before a refused message is sent again where the server does not say.
const AGAIN: Duration = Duration::from_millis(200);
/// Longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Messages that are sent again at once; the next when one of them is acknowledged, or a server would take it for a flood.
const AGAIN_AT_ONCE: usize = 8;
/// How long a socket may take no bytes until it counts as lost.
const STUCK: Duration = Duration::from_secs(30);

/// Why a connection ended, and when to come again.
enum Over {
    /// It broke, or was closed; the code of that.
    Lost(String, Option<Duration>),
    /// The server does not want this user back.
    Refused(String),
    /// It was dropped on purpose.
    Dropped,
    /// The run is over.
    Ended,
}

/// See the module.
pub struct Device {
    worker: Rc<Worker>,
    member: Rc<Member>,
    follower: Follower,
    cursor: Option<String>,
    /// Connections that were established so far.
    established: u64,
    chance: Chance,
}

enum News {
    Stirred,
    Heard(Option<Result<Message, Error>>),
}

impl Device {
    /// One that is handed everything from where its thread is now.
    pub fn begin(worker: &Rc<Worker>, member: &Rc<Member>) -> Device {
        let common = &worker.common;
        let (user, thread) = (Name::clone(&member.name), Name::clone(&member.thread_id));
        let tenure = Tenure { user, thread: Name::clone(&thread), from: 1, until: None };
        let mut follower = Follower::new(&member.name, [&tenure]);
        let begun = Step::Loaded { thread, after: 0, through: member.last.get(), messages: Vec::new() };
        common.court().step(&mut follower, &begun);
        let chance = Chance::new(common.plan.told.seed ^ u64::from(member.number));
        let (worker, member) = (Rc::clone(worker), Rc::clone(member));
        Device { worker, member, follower, cursor: None, established: 0, chance }
    }

    /// From the first connection to the end of the run.
    pub async fn run(mut self) {
        let common = Arc::clone(&self.worker.common);
        self.member.rest(common.plan.ramp * self.member.number / common.plan.users).await;
        let mut tries = 0;
        while !self.member.is_over() {
            let (began, before) = (Instant::now(), self.established);
            let Member { number, token, slow, .. } = &*self.member;
            let over = match common.dial.open(*number, token, self.cursor.as_deref(), *slow).await {
                Ok(socket) => self.session(socket, began).await,
                Err(refused) => Over::Lost(refused.code, refused.retry_after),
            };
            tries = if self.established > before { 0 } else { tries + 1 };
            if self.established > before {
                common.open.fetch_sub(1, Relaxed);
            }
            self.member.land();
            let wait = match over {
                Over::Ended => break,
                Over::Dropped => Duration::ZERO,
                Over::Lost(code, wait) => {
                    self.worker.desk().meter().error(&code);
                    wait.unwrap_or_else(|| self.backoff(tries))
                }
                Over::Refused(code) => {
                    self.worker.desk().meter().error(&code);
                    BACKOFF_MAX
                }
            };
            self.member.rest(wait).await;
        }
        common.court().end(self.follower);
    }

    fn backoff(&mut self, tries: u32) -> Duration {
        let longest = (BACKOFF * 2_u32.saturating_pow(tries.min(10))).min(BACKOFF_MAX);
        longest.mul_f64(0.5 + f64::from(u32::try_from(self.chance.below(1_000)).unwrap_or(0)) / 2_000.0)
    }

    async fn session(&mut self, mut socket: Socket, began: Instant) -> Over {
        let (member, before) = (Rc::clone(&self.member), self.established);
        // An order to drop was for the connection before.
        let mut paused = member.orders().pause;
        member.stir();
        loop {
            let news = std::future::poll_fn(|cx| {
                if member.poll_stirred(cx.waker()).is_ready() {
                    Poll::Ready(News::Stirred)
                } else if paused {
                    Poll::Pending
                } else {
                    socket.poll_next_unpin(cx).map(News::Heard)
                }
            });
            let text = match news.await {
                News::Stirred => {
                    let orders = member.orders();
                    paused = orders.pause;
                    if orders.end {
                        let _ = tokio::time::timeout(AGAIN, socket.close(None)).await;
                        return Over::Ended;
                    } else if orders.drop {
                        return Over::Dropped;
                    } else if self.established > before && !self.say(&mut socket, orders).await {
                        return Over::Lost("connection_lost".to_owned(), None);
                    }
                    continue;
                }
                News::Heard(Some(Ok(Message::Text(text)))) => text,
                News::Heard(Some(Ok(Message::Close(close)))) => return closed(close.map(|close| close.code.into())),
                News::Heard(Some(Ok(_))) => {
                    member.heard.set(Instant::now());
                    continue;
                }
                News::Heard(_) => return Over::Lost("connection_lost".to_owned(), None),
            };
            member.heard.set(Instant::now());
            let Ok(frame) = serde_json::from_str::<Frame<'_>>(&text) else {
                return Over::Lost("unreadable_frame".to_owned(), None);
            };
            match &*frame.r#type {
                "connection_established" => {
                    if let Err(code) = self.established(&frame, began).await {
                        return Over::Lost(code, None);
                    }
                }
                "bye" => return farewell(&frame),
                _ => self.frame(&frame),
            }
        }
    }

    /// The first frame of a connection. Where a cursor did not hold, what there is takes the place of what was missed.
    async fn established(&mut self, frame: &Frame<'_>, began: Instant) -> Result<(), String> {
        let (worker, member) = (Rc::clone(&self.worker), Rc::clone(&self.member));
        if self.cursor.is_some() && frame.data.resumed == Some(false) {
            worker.desk().meter().error(frame.data.reason.as_ref().map_or("reset", |reason| &reason.0));
            worker.common.court().step(&mut self.follower, &Step::Reset);
            let (thread, after) = (Name::clone(&member.thread_id), member.last.get());
            let failed = |_| "not_reloaded".to_owned();
            let through = worker.rest.head(&member.token, &thread).await.map_err(failed)?;
            let history = worker.rest.history(&[&member.token], &thread, through, after).await.map_err(failed)?;
            let messages = history.rows.into_iter().map(|row| (row.sequence, row.message)).collect();
            let step = Step::Loaded { thread, after, through, messages };
            worker.common.court().step(&mut self.follower, &step);
            member.last.set(through.max(after));
        }
        self.advance(frame);
        self.established += 1;
        worker.common.open.fetch_add(1, Relaxed);
        let mut meter = worker.desk().meter();
        meter.connect.record(began.elapsed());
        if self.established == 1 {
            worker.common.met.fetch_add(1, Relaxed);
        } else {
            meter.counts.reconnects += 1;
        }
        drop(meter);
        member.stir();
        Ok(())
    }

    fn advance(&mut self, frame: &Frame<'_>) {
        if let Some(cursor) = &frame.data.cursor {
            let own = self.cursor.get_or_insert_default();
            own.clear();
            own.push_str(&cursor.0);
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        match &*frame.r#type {
            "cursor" | "caught_up" => self.advance(frame),
            "ack" => {
                let (Some(number), Some(shown)) = (frame.id, frame.data.message) else { return };
                self.worker.stored(&self.member, number, shown.get());
            }
            "error" => self.refused(frame),
            _ => self.hear(frame),
        }
    }

    fn refused(&self, frame: &Frame<'_>) {
        self.worker.desk().meter().error(frame.code());
        let Some(number) = frame.id else { return };
        if frame.data.retryable == Some(true) {
            self.member.change(number, |waiting| waiting.flying = false);
            let wait = frame.data.retry_after_ms.map_or(AGAIN, Duration::from_millis).min(WAIT_MAX);
            let until = Instant::now() + wait;
            if self.member.hold.get().is_some_and(|hold| hold >= until) {
                return;
            }
            self.member.hold.set(Some(until));
            let member = Rc::clone(&self.member);
            tokio::task::spawn_local(async move {
                tokio::time::sleep_until(until.into()).await;
                member.stir();
            });
        } else {
            self.worker.given_up(&self.member, number);
        }
    }

    fn hear(&mut self, frame: &Frame<'_>) {
        let member = &self.member;
        let Some(event) = frame.event(&member.thread_id, &member.name) else { return };
        let (sequence, own) = (event.sequence, event.thread == member.thread_id);
        // The contract's rule for clients: what is not above the last of its thread has come before.
        let handed_on = sequence > member.last.get() || !own;
        let posted = matches!(event.fact, Fact::Posted(_));
        self.worker.common.court().step(&mut self.follower, &Step::Heard { event, handed_on });
        if !handed_on || !own {
            return;
        }
        member.last.set(sequence);
        if posted {
            let mut meter = self.worker.desk().meter();
            meter.counts.delivered += 1;
            let sent = frame.data.content.as_ref().and_then(|content| intended(&content.0));
            if let Some(sent) = sent.filter(|_| !member.slow) {
                meter.delivery.record(self.worker.common.now().saturating_sub(sent));
            }
        }
    }

    /// Frames of the messages that may go now.
    fn due(&self, frames: &mut Vec<String>) {
        let common = &self.worker.common;
        let (thread, bytes) = (&self.member.thread_id, usize::try_from(common.plan.told.message_bytes).unwrap_or(0));
        let held = self.member.hold.get().is_some_and(|hold| hold > Instant::now());
        let mut waiting = self.member.waiting.borrow_mut();
        let mut again = waiting.iter().filter(|waiting| waiting.flying && waiting.tries > 1).count();
        self.member.held_back.set(false);
        for waiting in waiting.iter_mut().filter(|waiting| !waiting.by_rest && !waiting.flying && !held) {
            if waiting.tries > 0 && again >= AGAIN_AT_ONCE {
                self.member.held_back.set(true);
                continue;
            }
            again += usize::from(waiting.tries > 0);
            self.worker.sent(waiting);
            frames.push(waiting.draft.frame(thread, common.mark, bytes));
        }
    }

    /// Sends what is due; whether the socket took it.
    async fn say(&self, socket: &mut Socket, orders: Orders) -> bool {
        let thread = &self.member.thread_id;
        let mut frames = Vec::new();
        if orders.typing {
            frames.push(format!("{{\"type\":\"typing\",\"data\":{{\"thread_id\":\"{thread}\",\"active\":true}}}}"));
        }
        if orders.read {
            let last = self.member.last.get();
            frames.push(format!("{{\"type\":\"thread.read\",\"data\":{{\"thread_id\":\"{thread}\",\"sequence\":{last}}}}}"));
        }
        self.due(&mut frames);
        let written = async {
            for frame in frames.drain(..) {
                socket.feed(Message::text(frame)).await?;
            }
            socket.flush().await
        };
        matches!(tokio::time::timeout(STUCK, written).await, Ok(Ok(())))
    }
}

/// Sends a message by REST until it is stored, or refused for good.
pub async fn post(worker: Rc<Worker>, member: Rc<Member>, draft: Draft) {
    let common = &worker.common;
    let bytes = usize::try_from(common.plan.told.message_bytes).unwrap_or(0);
    while !member.is_over() {
        let place = worker.places.acquire().await;
        member.change(draft.number, |waiting| worker.sent(waiting));
        let answer = worker.rest.post(&member.token, draft.body(&member.thread_id, common.mark, bytes)).await;
        drop(place);
        match answer {
            Ok(text) => {
                let shown = serde_json::from_str::<Sent<'_>>(&text);
                return match shown {
                    Ok(Sent { message }) => worker.stored(&member, draft.number, message.get()),
                    Err(_) => worker.given_up(&member, draft.number),
                };
            }
            Err(refused) => {
                worker.desk().meter().error(&refused.code);
                if !refused.retryable {
                    return worker.given_up(&member, draft.number);
                }
                member.rest(refused.retry_after.unwrap_or(AGAIN)).await;
            }
        }
    }
}

/// The answer to a post.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

fn farewell(frame: &Frame<'_>) -> Over {
    let code = named(frame.code().parse().unwrap_or_default());
    match frame.data.reconnect {
        Some(false) => Over::Refused(code),
        _ => Over::Lost(code, frame.data.retry_after_ms.map(Duration::from_millis)),
    }
}

fn closed(code: Option<u16>) -> Over {
    Over::Lost(code.map_or_else(|| "connection_lost".to_owned(), named), None)
}

/// The name of a close code.
fn named(code: u16) -> String {
    let known = Code::ALL.iter().find(|known| known.close() == Some(code));
    known.map_or_else(|| format!("closed_{code}"), |known| known.name().to_owned())
}
