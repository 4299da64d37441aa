//! What history returns, and whether everything that was acknowledged is in it, once.

use std::collections::{HashMap, HashSet};

use super::{
    record::{Acknowledged, Event, Fact, History, Message, Name, Row},
    verdict::{Breach, Verdict},
};

/// What is true of each thread.
pub(super) struct Truth<'a> {
    threads: HashMap<&'a str, Thread<'a>>,
}

/// What is true of a thread: its messages by sequence, and what the first device that heard of another event was told.
#[derive(Default)]
pub(super) struct Thread<'a> {
    pub head: u64,
    pub rows: HashMap<u64, &'a Row>,
    others: HashMap<u64, &'a Fact>,
}

impl<'a> Truth<'a> {
    /// Takes the histories as true, and says what is wrong among them.
    pub fn of(histories: &'a [History], verdict: &mut Verdict) -> Truth<'a> {
        let (mut threads, mut keys, mut ids) = (HashMap::new(), HashMap::new(), HashSet::new());
        for history in histories {
            let thread: &mut Thread<'a> = threads.entry(&*history.thread).or_default();
            thread.head = history.head;
            let mut last = 0;
            for row in &history.rows {
                verdict.rows += 1;
                let mut blame = |breach, how: String| verdict.blame(breach, &row.author, &history.thread, row.sequence, how);
                if row.sequence <= last {
                    blame(Breach::Disordered, format!("its row comes after that of {last}"));
                }
                if row.sequence > history.head {
                    blame(Breach::Altered, format!("the thread says that it ends at {}", history.head));
                }
                last = row.sequence;
                if thread.rows.insert(row.sequence, row).is_some() || !ids.insert(row.message.id) {
                    blame(Breach::Doubled, "the history holds it twice".to_owned());
                }
                if let Some(key) = &row.key
                    && let Some(before) = keys.insert((&*row.author, &**key), row.sequence)
                {
                    blame(Breach::Doubled, format!("retry key {key} already made the message at {before}"));
                }
            }
        }
        Truth { threads }
    }

    /// Looks for every acknowledged message.
    pub fn compare(&self, acknowledged: &'a [Acknowledged], verdict: &mut Verdict) {
        let mut told: HashMap<(&str, &str), &Acknowledged> = HashMap::new();
        for ack in acknowledged {
            if let Some(key) = &ack.key
                && let Some(before) = told.insert((&*ack.sender, &**key), ack)
            {
                if before.message.id != ack.message.id || before.sequence != ack.sequence {
                    let how = format!("retry key {key} was acknowledged as the message at {} before", before.sequence);
                    verdict.blame(Breach::Doubled, &ack.sender, &ack.thread, ack.sequence, how);
                }
                continue;
            }
            verdict.acknowledged += 1;
            let row = self.threads.get(&*ack.thread).and_then(|thread| thread.rows.get(&ack.sequence));
            let mut blame = |breach, how: &str| verdict.blame(breach, &ack.sender, &ack.thread, ack.sequence, how);
            match row {
                None => blame(Breach::Lost, "acknowledged and not in the history"),
                Some(row) if row.message.id != ack.message.id => {
                    blame(Breach::Lost, "acknowledged, and the history has another message there");
                }
                Some(row) if differ(&row.message, &ack.message) || row.author != ack.sender || row.key != ack.key => {
                    blame(Breach::Altered, "the history tells it otherwise than its acknowledgement");
                }
                Some(_) => {}
            }
        }
    }

    /// A thread, which may be unknown to history.
    pub fn thread(&mut self, name: &'a Name) -> &mut Thread<'a> {
        self.threads.entry(&**name).or_default()
    }
}

impl<'a> Thread<'a> {
    /// Whether an event says what history says, and what others were told.
    pub fn agrees(&mut self, event: &'a Event) -> bool {
        match (&event.fact, self.rows.get(&event.sequence)) {
            (Fact::Posted(message), Some(row)) => !differ(message, &row.message),
            (Fact::Posted(_), None) | (_, Some(_)) => false,
            (fact, None) => *self.others.entry(event.sequence).or_insert(fact) == fact,
        }
    }
}

/// Whether two accounts of a message cannot both be true. A content that is gone contradicts nothing.
pub(super) fn differ(one: &Message, other: &Message) -> bool {
    one.id != other.id || one.body.zip(other.body).is_some_and(|(one, other)| one != other)
}
