//! Writer: the one thread that appends to the log and publishes. It takes the queued writes, commits them in one transaction, encodes each
//! event once, publishes the batch, and sends each outcome.
//!
//! Invariant: an acknowledged write is stored. The outcome is sent after the commit.
//!
//! Decisions: `src/docs/decisions/writer.md`.

use std::sync::{Arc, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    backplane::{Backplane, Batch},
    domain::{Event, Limits, Position, StoreError},
    error::Error,
    process::AbortGuard,
    store::{Done, Log, MarkerMoved, Write},
    wire::{Tally, seal},
};

/// Writes per transaction. More would only delay the first of them.
const BATCH_WRITES_MAX: usize = 256;

/// Where the outcome of a write is sent.
pub type Reply = oneshot::Sender<Result<Done, Error>>;

/// The part of the queue's limits that a write uses until its outcome is sent: one item, and its bytes if it is a post.
type Room = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

enum Order {
    Write(Job),
    /// Commit the writes queued before, then end.
    Stop,
}

struct Job {
    write: Write,
    reply: Reply,
    room: Room,
}

/// Handle of the writer. Its queue is bounded in items and bytes. Writes of logins have a limit of their own, so that a flood of posts
/// does not prevent sign-ins.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Order>,
    posts: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    logins: Arc<Semaphore>,
    /// Counts the bytes of shared frames.
    shared: Tally,
}

impl Writer {
    /// Starts the thread. It ends after [`Writer::stop`], when everything queued before is committed; then the receiver completes. A join
    /// handle is not used, because joining a thread that hangs in the file system has no time limit.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        log: Box<dyn Log>,
        backplane: Box<dyn Backplane>,
        limits: &Limits,
        abort_guard: AbortGuard,
        shared: &Tally,
    ) -> std::io::Result<(Writer, oneshot::Receiver<()>)> {
        let permits =
            |max: u64| Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)));
        let (jobs, queue) = mpsc::channel();
        let writer = Writer {
            jobs,
            posts: permits(limits.writer_posts),
            bytes: permits(limits.writer_bytes),
            logins: permits(limits.writer_logins),
            shared: shared.clone(),
        };
        let shared = shared.clone();
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            // A panic drops the guard and ends the process. The thread ends normally when every handle has been dropped.
            let abort_guard = abort_guard;
            run(log, backplane.as_ref(), &queue, &shared);
            std::mem::forget(abort_guard);
            // A node that has been dropped does not wait.
            let _ = ended.send(());
        })?;
        Ok((writer, end))
    }

    /// Queues a write. `Ok` means that `reply` will be answered.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the queue is full; the reply is given back.
    pub fn queue(&self, write: Write, reply: Reply) -> Result<(), (Reply, StoreError)> {
        let room = match &write {
            Write::Change(change) => {
                let bytes = u32::try_from(change.bytes()).unwrap_or(u32::MAX);
                let item = Arc::clone(&self.posts).try_acquire_owned();
                let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
                item.and_then(|item| Ok((item, Some(bytes?))))
            }
            _ => Arc::clone(&self.logins).try_acquire_owned().map(|item| (item, None)),
        };
        let Ok(room) = room else { return Err((reply, StoreError::Busy)) };
        let job = Job { write, reply, room };
        self.jobs.send(Order::Write(job)).map_err(|lost| match lost.0 {
            Order::Write(job) => (job.reply, StoreError::Unavailable),
            Order::Stop => unreachable!("a write was sent"),
        })
    }

    /// Counter of the bytes of shared frames.
    pub fn shared(&self) -> &Tally {
        &self.shared
    }

    /// Lets the thread end once it has committed the queued writes. Later writes are refused.
    pub fn stop(&self) {
        // The thread may already have exited; then there is nothing to stop.
        let _ = self.jobs.send(Order::Stop);
    }

    /// Queues a write and waits for its outcome.
    ///
    /// # Errors
    /// The refusal, or an outage.
    pub async fn write(&self, write: Write) -> Result<Done, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue(write, reply).map_err(|(_, outage)| outage)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable.into()))
    }
}

fn run(mut log: Box<dyn Log>, backplane: &dyn Backplane, queue: &mpsc::Receiver<Order>, shared: &Tally) {
    let mut stopping = false;
    while !stopping && let Ok(Order::Write(first)) = queue.recv() {
        let (mut writes, mut replies) = (vec![first.write], vec![(first.reply, first.room)]);
        while writes.len() < BATCH_WRITES_MAX {
            match queue.try_recv() {
                Ok(Order::Write(job)) => {
                    writes.push(job.write);
                    replies.push((job.reply, job.room));
                }
                Ok(Order::Stop) => {
                    stopping = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let outcomes = match log.commit(&writes) {
            Ok(committed) => {
                publish(backplane, &committed.events, &committed.markers, shared);
                committed.outcomes
            }
            Err(outage) => writes.iter().map(|_| Err(outage.into())).collect(),
        };
        for ((reply, _room), outcome) in replies.into_iter().zip(outcomes) {
            // A client that has disconnected learns the outcome by its retry key.
            let _ = reply.send(outcome);
        }
    }
    log.end();
}

fn publish(backplane: &dyn Backplane, events: &[Event], moved: &[MarkerMoved], shared: &Tally) {
    let begins = events.first().map(|first| Position(first.position.0 - 1)).or(moved.first().map(|first| first.at));
    let Some(from) = begins else { return };
    let to = events.last().map_or(from, |last| last.position);
    let envelopes = events.iter().map(|event| Arc::new(seal::seal(event).shared(shared))).collect();
    let sealed = |MarkerMoved { at, user, marker }: &MarkerMoved| Arc::new(seal::marker(*at, user, marker, shared));
    let markers = moved.iter().map(sealed).collect();
    backplane.publish(Batch { from, to, envelopes, markers });
}
