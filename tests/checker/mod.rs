//! The checker: from what a run wrote down alone it decides whether delivery kept its promise. It knows nothing of the
//! run, of the server or of time, and does no I/O, so that whatever drives clients can use it.
//!
//! The promise: what was acknowledged is in the history, once; each member is handed each event of a thread once, in
//! sequence, and told of every hole; nobody gets an event of a thread they are not in.
//!
//! A [`Record`] holds four things, each written down by whoever saw it: what senders were told, who was a member from
//! which event to which, what each device saw in order and handed on, and what history returns at the end.
//! [`judge`] compares them and names user, thread and sequence of everything that does not fit.

mod histories;
mod record;
mod streams;
mod verdict;
mod wire;

pub use record::{Acknowledged, Event, Fact, History, Message, Name, Record, Row, Step, Stream, Tenure};
pub use verdict::{Breach, Fault, Verdict};
pub use wire::Names;

use histories::Truth;

/// Judges a record.
pub fn judge(record: &Record) -> Verdict {
    let mut verdict = Verdict::default();
    let mut truth = Truth::of(&record.histories, &mut verdict);
    truth.compare(&record.acknowledged, &mut verdict);
    for stream in &record.streams {
        streams::follow(stream, &record.tenures, &mut truth, &mut verdict);
    }
    verdict
}
