//! What the checker decides: how much it saw, and each breach of the promise with user, thread and sequence.

use std::fmt;

use super::record::Name;

/// A breach of the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// Acknowledged and not in the history; or visible to a user and never seen by their device.
    Lost,
    /// Two messages for one retry key, or one event handed on twice.
    Doubled,
    /// An event or a row that came after one which it should have come before.
    Disordered,
    /// A sequence was jumped over and the device was not told.
    Hole,
    /// Something of a thread that the user was not in.
    Foreign,
    /// Two accounts of one event or message that differ.
    Altered,
}

impl Breach {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Breach; 6] =
        [Breach::Lost, Breach::Doubled, Breach::Disordered, Breach::Hole, Breach::Foreign, Breach::Altered];

    /// The word for it in a report.
    pub fn name(self) -> &'static str {
        match self {
            Breach::Lost => "lost",
            Breach::Doubled => "doubled",
            Breach::Disordered => "out of order",
            Breach::Hole => "holes untold",
            Breach::Foreign => "foreign",
            Breach::Altered => "altered",
        }
    }
}

/// One breach, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which.
    pub breach: Breach,
    /// Whose promise was broken: a sender's or a receiver's.
    pub user: Name,
    /// In which thread.
    pub thread: Name,
    /// At which sequence of it.
    pub sequence: u64,
    /// How it shows.
    pub how: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { breach, user, thread, sequence, how } = self;
        write!(f, "{}: user {user}, thread {thread}, sequence {sequence}: {how}", breach.name())
    }
}

/// Faults that are kept with their places; beyond them only their number is.
const FAULTS_KEPT: usize = 1_000;
/// Faults that a report shows.
const FAULTS_SHOWN: usize = 20;

/// The checker's decision.
#[derive(Debug, Default, Clone)]
pub struct Verdict {
    /// The first thousand faults.
    pub faults: Vec<Fault>,
    counts: [u64; Breach::ALL.len()],
    /// Messages that were acknowledged, each key once.
    pub acknowledged: u64,
    /// Messages in the history.
    pub rows: u64,
    /// Events that devices handed on.
    pub handed_on: u64,
    /// Events that came over the wire once more and were dropped. The contract allows these.
    pub repeated: u64,
    /// How often a device was told to load what there is.
    pub resets: u64,
}

impl Verdict {
    /// How many faults are a breach of this kind.
    pub fn count(&self, breach: Breach) -> u64 {
        self.counts[breach as usize]
    }

    /// Whether the promise was kept.
    pub fn is_clean(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    pub(super) fn blame(&mut self, breach: Breach, user: &Name, thread: &Name, sequence: u64, how: impl Into<String>) {
        self.counts[breach as usize] += 1;
        if self.faults.len() < FAULTS_KEPT {
            let (user, thread) = (Name::clone(user), Name::clone(thread));
            self.faults.push(Fault { breach, user, thread, sequence, how: how.into() });
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} acknowledged, {} in the history, {} handed on", self.acknowledged, self.rows, self.handed_on)?;
        write!(f, " ({} repeated on the wire, {} resets):", self.repeated, self.resets)?;
        for breach in Breach::ALL {
            write!(f, " {} {}", self.count(breach), breach.name())?;
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            write!(f, "\n  {fault}")?;
        }
        let hidden = self.counts.iter().sum::<u64>().saturating_sub(FAULTS_SHOWN as u64);
        if hidden > 0 { write!(f, "\n  and {hidden} more") } else { Ok(()) }
    }
}
