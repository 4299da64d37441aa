//! The writer: the one thread that appends and publishes. It drains what is queued, writes one transaction, seals
//! each event once, publishes the batch and answers every poster itself. An ack means: stored.
//!
//! Decisions: `src/docs/decisions/writer.md`.

use std::sync::{Arc, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::bell::Bell;
use crate::{
    backplane::{Backplane, Batch},
    domain::{Event, Limits, Outage, Position},
    error::Error,
    store::{Done, Log, Moved, Write},
    wire::{Tally, seal},
};

/// Writes of one transaction at most: more only adds to the wait of the first.
const BATCH: usize = 256;

/// How a write ended.
pub type Reply = oneshot::Sender<Result<Done, Error>>;

/// The places a write takes in the queue's bounds until it is answered: one item, and bytes if it is a post.
type Room = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

enum Order {
    Write(Job),
    /// Write what was queued before this, then end.
    Stop,
}

struct Job {
    write: Write,
    reply: Reply,
    room: Room,
}

/// The handle everybody queues through. Bounded in items and in bytes; logins have a share of their own, so that
/// a flood of posts locks nobody out.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Order>,
    posts: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    logins: Arc<Semaphore>,
    /// Counts the frames that are made of what it writes.
    shared: Tally,
}

impl Writer {
    /// Starts the thread. It ends after [`Writer::stop`], when everything queued before is written; then the receiver is
    /// told. No join handle: a thread that hangs in the file system could not be waited for with a limit.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        log: Box<dyn Log>,
        backplane: Box<dyn Backplane>,
        limits: &Limits,
        bell: Bell,
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
            // A panic drops the bell and with it the process; a queue whose handles are gone ends the thread quietly.
            let bell = bell;
            run(log, backplane.as_ref(), &queue, &shared);
            std::mem::forget(bell);
            // A node that is gone waits no more.
            let _ = ended.send(());
        })?;
        Ok((writer, end))
    }

    /// Queues a write. `Ok` means that `reply` will be answered.
    ///
    /// # Errors
    /// [`Outage::Busy`] when the queue is full; the reply is given back.
    pub fn queue(&self, write: Write, reply: Reply) -> Result<(), (Reply, Outage)> {
        let room = match &write {
            Write::Change(change) => {
                let bytes = u32::try_from(change.bytes()).unwrap_or(u32::MAX);
                let item = Arc::clone(&self.posts).try_acquire_owned();
                let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
                item.and_then(|item| Ok((item, Some(bytes?))))
            }
            _ => Arc::clone(&self.logins).try_acquire_owned().map(|item| (item, None)),
        };
        let Ok(room) = room else { return Err((reply, Outage::Busy)) };
        let job = Job { write, reply, room };
        self.jobs.send(Order::Write(job)).map_err(|lost| match lost.0 {
            Order::Write(job) => (job.reply, Outage::Unavailable),
            Order::Stop => unreachable!("a write was sent"),
        })
    }

    /// Where frames are counted that many connections share.
    pub(super) fn shared(&self) -> &Tally {
        &self.shared
    }

    /// Lets the thread end once it has written what is queued; later writes are refused.
    pub fn stop(&self) {
        // A thread that has ended already needs no word.
        let _ = self.jobs.send(Order::Stop);
    }

    /// Queues a write and waits for its outcome.
    ///
    /// # Errors
    /// The refusal, or an outage.
    pub async fn write(&self, write: Write) -> Result<Done, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue(write, reply).map_err(|(_, outage)| outage)?;
        answer.await.unwrap_or_else(|_| Err(Outage::Unavailable.into()))
    }
}

fn run(mut log: Box<dyn Log>, backplane: &dyn Backplane, queue: &mpsc::Receiver<Order>, shared: &Tally) {
    let mut stopping = false;
    while !stopping && let Ok(Order::Write(first)) = queue.recv() {
        let (mut writes, mut replies) = (vec![first.write], vec![(first.reply, first.room)]);
        while writes.len() < BATCH {
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
            // A poster that has gone away learns the truth by its retry key.
            let _ = reply.send(outcome);
        }
    }
    log.end();
}

fn publish(backplane: &dyn Backplane, events: &[Event], moved: &[Moved], shared: &Tally) {
    let begins = events.first().map(|first| Position(first.position.0 - 1)).or(moved.first().map(|first| first.at));
    let Some(from) = begins else { return };
    let to = events.last().map_or(from, |last| last.position);
    let envelopes = events.iter().map(|event| Arc::new(seal::seal(event).shared(shared))).collect();
    let sealed = |Moved { at, user, marker }: &Moved| Arc::new(seal::marker(*at, user, marker, shared));
    let markers = moved.iter().map(sealed).collect();
    backplane.publish(Batch { from, to, envelopes, markers });
}
