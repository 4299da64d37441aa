//! Node: one running process with its hub, writer, store and outlets.
//!
//! It starts and stops them in order, and is what transports and REST handlers hold.

mod accounts;
mod clock_steps;
mod sweep;

use std::{
    future::{Ready, ready},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

pub use self::accounts::Accounts;
use self::clock_steps::ClockSteps;
use crate::{
    backplane::{Backplane, Batch},
    domain::{Clock, Credential, Limits, StoreError, ThreadId, Time, UserId},
    error::{Code, Error},
    hub::{
        Displaced, Hub, Permit, Permits, TYPING_MAILBOX_MAX, Typing,
        messages::{BatchReceived, Drain, Post, PostReply, Shutdown},
    },
    outlet::{HubLink, MemoryBudget, OutletContext, OutletIds},
    process::AbortGuard,
    store::{Done, Identity, Log, Reads},
    wire::{CursorSeal, Tally, frame},
    writer::Writer,
};

/// Time limit for the writer at shutdown. Its queue holds at most 16 transactions, each of which may wait for a lock.
const WRITER_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Receives the batches of a backplane.
pub type BatchReceiver = Box<dyn Fn(Batch) + Send + Sync>;

/// The parts of a node. The caller chooses the engines.
pub struct Parts {
    /// Write access to the store.
    pub log: Box<dyn Log>,
    /// Read access to the store.
    pub reads: Arc<dyn Reads>,
    /// Identity of the log.
    pub identity: Identity,
    /// Makes the backplane, given the receiver of its batches.
    pub backplane: Box<dyn FnOnce(BatchReceiver) -> Box<dyn Backplane>>,
    /// Limits in force.
    pub limits: Limits,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// One running process. Shared by all worker threads.
pub struct Node {
    /// Id of this process.
    pub node_id: Uuid,
    /// When it started.
    pub started_at: Time,
    /// Limits in force.
    pub limits: Limits,
    /// The limits, as clients receive them.
    pub client_limits: Box<RawValue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Read access to the store.
    pub reads: Arc<dyn Reads>,
    /// Encrypts cursors and page keys.
    pub cursors: Arc<CursorSeal>,
    /// The hub.
    pub hub: Addr<Hub>,
    /// The writer.
    pub writer: Writer,
    /// What the outlets share.
    pub outlets: Arc<OutletContext>,
    permits: Arc<Permits>,
    /// Decides by which time old data is deleted.
    clock_steps: Mutex<ClockSteps>,
    /// Slots in the hub's mailbox for typing notices.
    typing_slots: Arc<Semaphore>,
    shutting_down: Arc<AtomicBool>,
    threads: Mutex<Option<(Arbiter, oneshot::Receiver<()>)>>,
}

/// Passes batches from the backplane to the hub, once there is one.
fn batch_receiver(hub: Arc<OnceLock<Addr<Hub>>>) -> BatchReceiver {
    Box::new(move |batch| {
        let Some(hub) = hub.get() else { return };
        if batch.markers.is_empty() {
            // A batch that does not fit is not lost: the hub notices the gap and reads the store.
            let _ = hub.try_send(BatchReceived(batch));
        } else {
            // Markers leave no gap. Unbounded: each marker comes from a post, and `writer_posts` limits the posts in progress.
            hub.do_send(BatchReceived(batch));
        }
    })
}

impl Node {
    /// Starts the threads of the writer and the hub.
    ///
    /// # Errors
    /// If the store cannot be read, or a thread cannot be started.
    pub async fn start(parts: Parts) -> Result<Arc<Node>, Error> {
        let Parts { log, reads, identity, backplane, limits, clock } = parts;
        let (start, last_revocation) = (reads.head().await?, reads.last_ending().await?);
        let clock_steps = Mutex::new(ClockSteps::new(clock.read(), reads.swept_at().await?));
        let shutting_down = Arc::new(AtomicBool::new(false));
        let guard = |part| AbortGuard::new(part, &shutting_down);
        let of_readers = Arc::clone(&shutting_down);
        reads.on_panic(Box::new(move || drop(AbortGuard::new("a read thread", &of_readers))));
        // The hub needs the writer, and the writer needs the hub as the receiver of its batches.
        let hub_cell: Arc<OnceLock<Addr<Hub>>> = Arc::default();
        let backplane = backplane(batch_receiver(Arc::clone(&hub_cell)));
        let memory_budget = MemoryBudget::new(limits.outboxes_bytes, Tally::default());
        let (writer, writer_end) = Writer::start(log, backplane, &limits, guard("the writer"), memory_budget.shared())
            .map_err(|e| Error::new(Code::Internal, format!("the writer's thread did not start: {e}")))?;
        let permits = Arc::new(Permits::new(&limits));
        let arbiter = Arbiter::new();
        let engines = (writer.clone(), Arc::clone(&reads));
        let (hub_limits, hub_permits, hub_guard) = (limits.clone(), Arc::clone(&permits), guard("the hub"));
        let hub = Hub::start_in_arbiter(&arbiter.handle(), move |_| {
            Hub::new(&hub_limits, engines, hub_permits, (start, last_revocation), hub_guard)
        });
        let _ = hub_cell.set(hub.clone());
        let (node_id, cursors) = (Uuid::now_v7(), Arc::new(CursorSeal::new(&identity.cursor_key)));
        let outlets = OutletContext {
            node_id,
            start,
            limits: limits.clone(),
            clock: Arc::clone(&clock),
            reads: Arc::clone(&reads),
            cursors: Arc::clone(&cursors),
            memory_budget,
            hub: hub_link(&hub),
            outlet_ids: OutletIds::default(),
            shutting_down: Arc::clone(&shutting_down),
        };
        Ok(Arc::new(Node {
            node_id,
            started_at: clock.now(),
            client_limits: frame::limits(&limits),
            limits,
            clock,
            reads,
            cursors,
            hub,
            writer,
            outlets: Arc::new(outlets),
            permits,
            clock_steps,
            typing_slots: Arc::new(Semaphore::new(TYPING_MAILBOX_MAX)),
            shutting_down,
            threads: Mutex::new(Some((arbiter, writer_end))),
        }))
    }

    /// Passes a post to the hub and waits for its outcome.
    ///
    /// # Errors
    /// The refusal; `busy` if the hub's mailbox is full; or an outage.
    pub fn post(&self, (post, reply): (Post, PostReply)) -> impl Future<Output = Result<Done, Error>> + use<> {
        // Sent at once, not when the future is first polled: so the posts of one connection keep their order.
        let sent = self.hub.try_send(post).is_ok();
        async move {
            if !sent {
                return Err(StoreError::Busy.into());
            }
            reply.await.unwrap_or_else(|_| Err(Code::StoreUnavailable.into()))
        }
    }

    /// Sends a typing notice to the other members of a thread. Drops it if they are too many or there is no room.
    pub fn notify_typing(&self, user: &UserId, thread: ThreadId, active: bool) {
        if let Ok(permit) = Arc::clone(&self.typing_slots).try_acquire_owned() {
            // The slot reserves room, unless posts have filled the mailbox.
            let _ = self.hub.try_send(Typing { user: user.clone(), thread, active, permit });
        }
    }

    /// Acquires a permit for one socket of a user. A future, because a node among several would have to ask the others.
    ///
    /// # Errors
    /// `too_many_connections`, `draining`, `over_capacity`, or `store_unavailable` if the revocations cannot be read.
    pub fn admit(&self, who: &Credential) -> Ready<Result<Permit, Error>> {
        ready(self.permits.admit(who))
    }

    /// Acquires a permit for one event stream or long poll of a user, with a future that completes when a socket replaces it.
    ///
    /// # Errors
    /// As for [`Node::admit`].
    pub fn admit_stand_in(&self, who: &Credential) -> Ready<Result<(Permit, Displaced), Error>> {
        ready(self.permits.admit_stand_in(who))
    }

    /// Whether [`Node::admit`] would succeed now.
    ///
    /// # Errors
    /// As for [`Node::admit`].
    pub fn would_admit(&self, who: &Credential) -> Ready<Result<(), Error>> {
        ready(self.permits.would_admit(who))
    }

    /// Closes every connection and waits until the last has ended, for at most `drain_ms`. Returns whether all have ended.
    pub async fn drain(&self) -> bool {
        let (empty, emptied) = oneshot::channel();
        // Unbounded: one message per process.
        self.hub.do_send(Drain { empty });
        tokio::time::timeout(Duration::from_millis(self.limits.drain_ms), emptied).await.is_ok()
    }

    /// Disarms the abort guards: from now on, parts may end. Worker threads take their outlets with them.
    pub fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Release);
    }

    /// Shuts down: writes what is queued, then stops the hub and the outlets. Idempotent.
    ///
    /// Returns whether the writer has ended. A writer that hangs on an unresponsive disk is left behind after 10 s. It is not known
    /// whether its unacknowledged writes were stored, as after a crash.
    pub async fn shut_down(&self) -> bool {
        let Some((arbiter, writer)) = self.threads.lock().ok().and_then(|mut threads| threads.take()) else { return true };
        self.writer.stop();
        let ended = tokio::time::timeout(WRITER_SHUTDOWN_TIMEOUT, writer).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(_)) => log::error!("the writer's thread ended by a panic"),
            Err(_) => log::error!(
                "the writer did not write what was queued within {WRITER_SHUTDOWN_TIMEOUT:?}; not waiting any longer"
            ),
        }
        self.begin_shutdown();
        // A hub that has ended already has nothing left to stop.
        let _ = self.hub.send(Shutdown).await;
        arbiter.stop();
        ended.is_ok()
    }
}

fn hub_link(hub: &Addr<Hub>) -> HubLink {
    HubLink {
        register: hub.clone().recipient(),
        subscribe: hub.clone().recipient(),
        set_memberships: hub.clone().recipient(),
        unsubscribe: hub.clone().recipient(),
    }
}
