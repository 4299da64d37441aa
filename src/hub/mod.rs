//! The hub and what belongs to it: outlets, outboxes, the writer; and the node, which is all of them together.
//!
//! Decisions: `src/docs/decisions/hub.md`.

mod accounts;
mod actor;
mod bell;
mod budget;
mod closing;
mod endings;
mod ephemeral;
mod guest;
pub mod line;
mod markers;
pub mod messages;
pub mod outbox;
pub mod outlet;
mod permits;
mod presence;
pub mod registry;
pub mod roster;
mod sleeper;
mod steps;
mod sweep;
mod transport;
mod writer;

use std::{
    future::{Ready, ready},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use governor::Quota;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

pub use self::{
    accounts::Accounts,
    actor::Hub,
    bell::{EXIT_SOFTWARE, exit_now, log_aside},
    closing::Closing,
    guest::Guest,
    line::{LAST_WORDS, Line},
    outbox::Out,
    outlet::Seat,
    permits::Displaced,
    presence::Here,
    registry::{Sitter, Transport},
    transport::{Flush, Inbound},
    writer::Writer,
};
use self::{bell::Bell, budget::Budget, messages as say, permits::Permits, steps::Steps};
use crate::{
    backplane::{Backplane, Batch},
    domain::{Clock, Credential, Limits, Outage, Time},
    error::{Code, Error},
    store::{Done, Head, Identity, Log, Reads},
    wire::{CursorSeal, Tally, frame},
};

/// So many a second, so many at once.
pub fn quota(per_second: u64, burst: u64) -> Quota {
    let number = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(number(per_second)).allow_burst(number(burst))
}

/// Time that the writer gets at the end to write what is queued: 16 transactions, of which each may wait for a lock.
const END: Duration = Duration::from_secs(10);

/// Where a backplane hands over what arrived.
pub type Arrive = Box<dyn Fn(Batch) + Send + Sync>;

/// The parts a node is made of; the engines behind them are chosen elsewhere.
pub struct Parts {
    /// The store's writing half.
    pub log: Box<dyn Log>,
    /// The store's reading half.
    pub reads: Arc<dyn Reads>,
    /// Which log it is.
    pub identity: Identity,
    /// Makes the backplane, given where batches arrive.
    pub backplane: Box<dyn FnOnce(Arrive) -> Box<dyn Backplane>>,
    /// The limits in force.
    pub limits: Limits,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// One running process: its hub, writer and store, shared by all worker threads.
pub struct Node {
    /// Names this process.
    pub node_id: Uuid,
    /// When it started.
    pub started_at: Time,
    /// The log's end when it started.
    pub born_at: Head,
    /// The limits in force.
    pub limits: Limits,
    /// The same as clients are told of them.
    pub limits_told: Box<RawValue>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The store's reading half.
    pub reads: Arc<dyn Reads>,
    /// Seals cursors and page keys.
    pub cursors: CursorSeal,
    /// The one hub.
    pub hub: Addr<Hub>,
    /// The one writer.
    pub writer: Writer,
    permits: Arc<Permits>,
    /// By which time what is too old is deleted.
    steps: Mutex<Steps>,
    /// Places in the hub's mailbox for what is not kept.
    ephemeral: Arc<Semaphore>,
    /// What the connections may hold in memory.
    budget: Budget,
    ending: Arc<AtomicBool>,
    threads: Mutex<Option<(Arbiter, oneshot::Receiver<()>)>>,
}

impl Node {
    /// Starts the writer's thread and the hub's.
    ///
    /// # Errors
    /// If the store cannot be read or the system gives no thread.
    pub async fn start(parts: Parts) -> Result<Arc<Node>, Error> {
        let Parts { log, reads, identity, backplane, limits, clock } = parts;
        let born_at = reads.head().await?;
        let last_ending = reads.last_ending().await?;
        let steps = Mutex::new(Steps::new(clock.read(), reads.swept_at().await?));
        let ending = Arc::new(AtomicBool::new(false));
        let of_readers = Arc::clone(&ending);
        reads.on_panic(Box::new(move || drop(Bell::new("a read thread", &of_readers))));
        // The hub needs the writer and the writer, through the backplane, the hub.
        let hub_address: Arc<OnceLock<Addr<Hub>>> = Arc::default();
        let to_hub = Arc::clone(&hub_address);
        let arrive = move |batch: Batch| {
            let Some(hub) = to_hub.get() else { return };
            if batch.markers.is_empty() {
                // A batch that does not fit is no loss: the hub finds the hole and reads the store.
                let _ = hub.try_send(say::Arrived(batch));
            } else {
                // Markers leave no hole. Each was a post, and of those only `writer_posts` are under way: no need of a bound.
                hub.do_send(say::Arrived(batch));
            }
        };
        let budget = Budget::new(limits.outboxes_bytes, Tally::default());
        let bell = Bell::new("the writer", &ending);
        let (writer, writer_end) = Writer::start(log, backplane(Box::new(arrive)), &limits, bell, budget.shared())
            .map_err(|e| Error::new(Code::Internal, format!("the writer's thread did not start: {e}")))?;
        let arbiter = Arbiter::new();
        let (hub_limits, hub_writer, hub_reads) = (limits.clone(), writer.clone(), Arc::clone(&reads));
        let bell = Bell::new("the hub", &ending);
        let permits = Arc::new(Permits::new(&limits));
        let hub_permits = Arc::clone(&permits);
        let hub = Hub::start_in_arbiter(&arbiter.handle(), move |_| {
            Hub::new(&hub_limits, (hub_writer, hub_reads), hub_permits, born_at, last_ending, bell)
        });
        let _ = hub_address.set(hub.clone());
        Ok(Arc::new(Node {
            node_id: Uuid::now_v7(),
            started_at: clock.now(),
            born_at,
            limits_told: frame::limits(&limits),
            limits,
            clock,
            reads,
            cursors: CursorSeal::new(&identity.cursor_key),
            hub,
            writer,
            permits,
            steps,
            ephemeral: Arc::new(Semaphore::new(ephemeral::MAILBOX_EPHEMERAL)),
            budget,
            ending,
            threads: Mutex::new(Some((arbiter, writer_end))),
        }))
    }

    /// A bell on one more part of this node.
    pub(self) fn bell(&self, what: &'static str) -> Bell {
        Bell::new(what, &self.ending)
    }

    /// Hands a post to the hub and waits for its outcome.
    ///
    /// # Errors
    /// The refusal, `busy` if the hub's mailbox is full, or an outage.
    pub fn post(&self, (post, answer): (say::Post, say::Answer)) -> impl Future<Output = Result<Done, Error>> + use<> {
        // At once, not when the answer is first awaited: posts of one connection keep their order.
        let queued = self.hub.try_send(post).is_ok();
        async move {
            if !queued {
                return Err(Outage::Busy.into());
            }
            answer.await.unwrap_or_else(|_| Err(Code::StoreUnavailable.into()))
        }
    }

    /// The right to one more socket of a user. Known at once on one node; where several count together, one has to ask.
    ///
    /// # Errors
    /// `too_many_connections`, `draining`, `over_capacity`, or `store_unavailable` if it cannot be seen who was signed out.
    pub fn admit(&self, who: &Credential) -> Ready<Result<say::Permit, Error>> {
        ready(self.permits.admit(who))
    }

    /// The right to one more event stream or poll of a user, and what tells it that a socket has taken its place.
    ///
    /// # Errors
    /// As for [`Node::admit`].
    pub fn admit_stand_in(&self, who: &Credential) -> Ready<Result<(say::Permit, Displaced), Error>> {
        ready(self.permits.admit_stand_in(who))
    }

    /// What [`Node::admit`] would answer now.
    ///
    /// # Errors
    /// As there.
    pub fn would_admit(&self, who: &Credential) -> Ready<Result<(), Error>> {
        ready(self.permits.would_admit(who))
    }

    /// Sends every connection away and waits until the last has left or the time is over; tells whether all left.
    pub async fn drain(&self) -> bool {
        let (empty, emptied) = oneshot::channel();
        // Said once a process: no need of a bound.
        self.hub.do_send(say::Drain { empty });
        tokio::time::timeout(Duration::from_millis(self.limits.drain_ms), emptied).await.is_ok()
    }

    /// From here on parts may end: worker threads take their outlets with them.
    pub fn begin_end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Ends the node: writes what is queued, then stops hub and outlets. Idempotent.
    ///
    /// Returns whether the writer has ended. One that hangs, on a disk that does not answer, is left behind after
    /// 10 s: what it has not acknowledged is not known to be stored, as after a crash.
    pub async fn end(&self) -> bool {
        let Some((arbiter, writer)) = self.threads.lock().ok().and_then(|mut threads| threads.take()) else { return true };
        self.writer.stop();
        let ended = tokio::time::timeout(END, writer).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(_)) => log::error!("the writer's thread ended by a panic"),
            Err(_) => log::error!("the writer did not write what was queued within {END:?}; not waiting any longer"),
        }
        self.begin_end();
        // A hub that is gone already has nothing left to stop.
        let _ = self.hub.send(say::End).await;
        arbiter.stop();
        ended.is_ok()
    }
}
