//! What is true of each thread: what history returns, and until it does, what senders and devices were told.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{
    record::{Acknowledged, Event, Fact, History, Message, Name, Row},
    verdict::{Breach, Verdict},
};

/// How much is kept to be compared. What is older was compared with all that had been told until then.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Events of each thread.
    pub events: usize,
    /// Retry keys of all senders.
    pub keys: usize,
}

impl Kept {
    /// Everything.
    pub const ALL: Kept = Kept { events: usize::MAX, keys: usize::MAX };
}

/// What is true of all threads.
pub(super) struct Truth {
    kept: Kept,
    threads: HashMap<Name, Thread>,
    /// Retry keys and ids of the rows of histories.
    keys: HashMap<(Name, Name), u64>,
    ids: HashSet<u128>,
    /// What each retry key was acknowledged as, and the keys in the order of their first acknowledgement.
    told: HashMap<(Name, Name), (u128, u64)>,
    told_in_order: VecDeque<(Name, Name)>,
}

/// What is true of a thread: its messages by sequence, and what somebody was told that history does not tell, or not yet.
#[derive(Default)]
pub(super) struct Thread {
    pub head: u64,
    /// Above which sequence `rows` holds all there is; `None` before history was asked.
    complete_above: Option<u64>,
    rows: HashMap<u64, Row>,
    accounts: BTreeMap<u64, Account>,
}

/// What was told of one event: to its sender, and to the first device that heard of it.
#[derive(Default)]
struct Account {
    acknowledged: Option<Acknowledged>,
    heard: Option<(Name, Fact)>,
}

impl Truth {
    pub fn new(kept: Kept) -> Truth {
        Truth {
            kept,
            threads: HashMap::new(),
            keys: HashMap::new(),
            ids: HashSet::new(),
            told: HashMap::new(),
            told_in_order: VecDeque::new(),
        }
    }

    /// Takes a history as true, says what is wrong in itself, and compares what was told before.
    pub fn history(&mut self, history: &History, verdict: &mut Verdict) {
        let thread = self.threads.entry(Name::clone(&history.thread)).or_default();
        (thread.head, thread.complete_above) = (history.head, Some(history.after));
        let mut last = history.after;
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
            if thread.rows.insert(row.sequence, row.clone()).is_some() || !self.ids.insert(row.message.id) {
                blame(Breach::Doubled, "the history holds it twice".to_owned());
            }
            if let Some(key) = &row.key
                && let Some(before) = self.keys.insert((Name::clone(&row.author), Name::clone(key)), row.sequence)
            {
                blame(Breach::Doubled, format!("retry key {key} already made the message at {before}"));
            }
        }
        for (sequence, Account { acknowledged, heard }) in std::mem::take(&mut thread.accounts) {
            if let Some(ack) = &acknowledged {
                thread.compare(ack, verdict);
            }
            if let Some((user, fact)) = heard {
                let event = Event { thread: Name::clone(&history.thread), sequence, fact };
                if !thread.agrees(&event, &user, self.kept.events) {
                    let how = "the device was told otherwise than the history tells it";
                    verdict.blame(Breach::Altered, &user, &history.thread, sequence, how);
                }
            }
        }
    }

    /// Looks for an acknowledged message, or keeps it until the history is asked.
    pub fn acknowledged(&mut self, ack: &Acknowledged, verdict: &mut Verdict) {
        if let Some(key) = &ack.key {
            let name = (Name::clone(&ack.sender), Name::clone(key));
            if let Some((id, before)) = self.told.insert(name.clone(), (ack.message.id, ack.sequence)) {
                if (id, before) != (ack.message.id, ack.sequence) {
                    let how = format!("retry key {key} was acknowledged as the message at {before} before");
                    verdict.blame(Breach::Doubled, &ack.sender, &ack.thread, ack.sequence, how);
                }
                return;
            }
            self.told_in_order.push_back(name);
            while self.told_in_order.len() > self.kept.keys {
                self.told_in_order.pop_front().map(|oldest| self.told.remove(&oldest));
            }
        }
        verdict.acknowledged += 1;
        let kept = self.kept.events;
        let thread = self.thread(&ack.thread);
        if thread.complete_above.is_some() {
            return thread.compare(ack, verdict);
        }
        let account = thread.account(ack.sequence, kept);
        let other = account.acknowledged.as_ref().is_some_and(|other| other.message.id != ack.message.id);
        let heard = account.heard.as_ref().is_none_or(|(_, fact)| alike(fact, &Fact::Posted(ack.message.clone())));
        account.acknowledged = Some(ack.clone());
        if other || !heard {
            let how = "its acknowledgement says otherwise than another one or a device";
            verdict.blame(Breach::Altered, &ack.sender, &ack.thread, ack.sequence, how);
        }
    }

    /// What was acknowledged in threads that no history tells of.
    pub fn settle(&mut self, verdict: &mut Verdict) {
        for thread in self.threads.values().filter(|thread| thread.complete_above.is_none()) {
            thread.accounts.values().filter_map(|account| account.acknowledged.as_ref()).for_each(|ack| {
                thread.compare(ack, verdict);
            });
        }
    }

    /// A thread, which may be unknown to history.
    pub fn thread(&mut self, name: &Name) -> &mut Thread {
        if !self.threads.contains_key(name) {
            self.threads.insert(Name::clone(name), Thread::default());
        }
        self.threads.get_mut(name).expect("it was put there")
    }

    /// Whether an event says what history says, and what others were told.
    pub fn agrees(&mut self, event: &Event, user: &Name) -> bool {
        let kept = self.kept.events;
        self.thread(&event.thread).agrees(event, user, kept)
    }
}

impl Thread {
    /// Whether history would tell of a message here.
    fn is_told(&self, sequence: u64) -> bool {
        self.complete_above.is_some_and(|above| sequence > above)
    }

    fn compare(&self, ack: &Acknowledged, verdict: &mut Verdict) {
        let mut blame = |breach, how: &str| verdict.blame(breach, &ack.sender, &ack.thread, ack.sequence, how);
        match self.rows.get(&ack.sequence) {
            None if self.complete_above.is_some_and(|above| ack.sequence <= above) => {}
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

    fn account(&mut self, sequence: u64, kept: usize) -> &mut Account {
        while self.accounts.len() >= kept && !self.accounts.contains_key(&sequence) {
            self.accounts.pop_first();
        }
        self.accounts.entry(sequence).or_default()
    }

    fn agrees(&mut self, event: &Event, user: &Name, kept: usize) -> bool {
        let Event { sequence, fact, .. } = event;
        match (fact, self.rows.get(sequence)) {
            (Fact::Posted(message), Some(row)) => return !differ(message, &row.message),
            (_, Some(_)) => return false,
            (Fact::Posted(_), None) if self.is_told(*sequence) => return false,
            (_, None) => {}
        }
        let account = self.account(*sequence, kept);
        let acknowledged = account.acknowledged.as_ref().map(|ack| Fact::Posted(ack.message.clone()));
        let first = &account.heard.get_or_insert_with(|| (Name::clone(user), fact.clone())).1;
        alike(first, fact) && acknowledged.is_none_or(|acknowledged| alike(&acknowledged, fact))
    }

    /// Sequences of the messages that are known to be there, above one and up to another.
    pub fn messages(&self, after: u64, through: u64) -> Vec<u64> {
        let posted =
            |account: &Account| account.acknowledged.is_some() || matches!(account.heard, Some((_, Fact::Posted(_))));
        let rows = self.rows.keys().copied().filter(|s| *s > after && *s <= through);
        let told = self.accounts.range(after + 1..).take_while(|(s, _)| **s <= through);
        rows.chain(told.filter(|(_, account)| posted(account)).map(|(s, _)| *s)).collect()
    }
}

/// Whether two accounts of an event can both be true.
fn alike(one: &Fact, other: &Fact) -> bool {
    match (one, other) {
        (Fact::Posted(one), Fact::Posted(other)) => !differ(one, other),
        (one, other) => one == other,
    }
}

/// Whether two accounts of a message cannot both be true. A content that is gone contradicts nothing.
fn differ(one: &Message, other: &Message) -> bool {
    one.id != other.id || one.body.zip(other.body).is_some_and(|(one, other)| one != other)
}
