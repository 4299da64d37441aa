//! The checker: from what a run wrote down alone it decides whether delivery kept its promise. It knows nothing of the
//! run, of the server or of time, and does no I/O, so that whatever drives clients can use it.
//!
//! The promise: what was acknowledged is in the history, once; each member is handed each event of a thread once, in
//! sequence, and told of every hole; nobody gets an event of a thread they are not in.
//!
//! A [`Record`] holds four things, each written down by whoever saw it: what senders were told, who was a member from
//! which event to which, what each device saw in order and handed on, and what history returns at the end.
//! [`judge`] compares them and names user, thread and sequence of everything that does not fit. A run that is too long to
//! be written down tells the [`Court`] each of these things as it happens, and it keeps only what may still be compared.
//!
//! Decisions: `src/docs/decisions/testing.md`.

mod histories;
mod ranges;
mod record;
mod streams;
mod verdict;
mod wire;

pub use histories::Kept;
pub use record::{Acknowledged, Event, Fact, History, Message, Name, Record, Row, Step, Stream, Tenure};
pub use streams::Follower;
pub use verdict::{Breach, Fault, Verdict};
pub use wire::{Names, fingerprint};

use histories::Truth;

/// Judges a record.
pub fn judge(record: &Record) -> Verdict {
    let mut court = Court::new(Kept::ALL);
    record.histories.iter().for_each(|history| court.history(history));
    record.acknowledged.iter().for_each(|ack| court.acknowledged(ack));
    for stream in &record.streams {
        let mut follower = Follower::new(&stream.user, &record.tenures);
        stream.steps.iter().for_each(|step| court.step(&mut follower, step));
        court.end(follower);
    }
    court.verdict()
}

/// Judges as things happen. Histories may come before all else or after it; devices end after them.
pub struct Court {
    truth: Truth,
    verdict: Verdict,
}

impl Court {
    /// Nothing has happened.
    pub fn new(kept: Kept) -> Court {
        Court { truth: Truth::new(kept), verdict: Verdict::default() }
    }

    /// A sender was told that a message is stored.
    pub fn acknowledged(&mut self, ack: &Acknowledged) {
        self.truth.acknowledged(ack, &mut self.verdict);
    }

    /// A device saw something.
    pub fn step(&mut self, follower: &mut Follower, step: &Step) {
        follower.step(step, &mut self.truth, &mut self.verdict);
    }

    /// History returns this.
    pub fn history(&mut self, history: &History) {
        self.truth.history(history, &mut self.verdict);
    }

    /// A device will see nothing more.
    pub fn end(&mut self, follower: Follower) {
        follower.end(&mut self.truth, &mut self.verdict);
    }

    /// The decision.
    pub fn verdict(mut self) -> Verdict {
        self.truth.settle(&mut self.verdict);
        self.verdict
    }
}
