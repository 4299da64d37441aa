//! What a device saw: whether it was handed every event of its user's threads once, in sequence, and no other.

use std::collections::{HashMap, HashSet};

use super::{
    histories::{Truth, differ},
    record::{Event, Fact, Message, Name, Step, Stream, Tenure},
    verdict::{Breach, Verdict},
};

/// Where a device is in one thread.
#[derive(Default)]
struct Place {
    /// The last sequence that it was handed, or that it counts from.
    last: u64,
    /// What it was handed, or loaded where it had to load.
    seen: HashSet<u64>,
    /// Up to where it has loaded the thread.
    loaded: u64,
    /// How many resets it had been told when it last heard of this thread. `None`: it never has.
    resets: Option<u64>,
}

/// A stream under judgement.
struct Follower<'a, 'v> {
    user: &'a Name,
    tenures: HashMap<&'a str, Vec<&'a Tenure>>,
    places: HashMap<&'a str, Place>,
    resets: u64,
    verdict: &'v mut Verdict,
}

/// Follows a stream from its first step to its last, and says what is missing at the end.
pub(super) fn follow<'a>(stream: &'a Stream, tenures: &'a [Tenure], truth: &mut Truth<'a>, verdict: &mut Verdict) {
    let mut own: HashMap<&str, Vec<&Tenure>> = HashMap::new();
    for tenure in tenures.iter().filter(|tenure| tenure.user == stream.user) {
        own.entry(&*tenure.thread).or_default().push(tenure);
    }
    let mut follower = Follower { user: &stream.user, tenures: own, places: HashMap::new(), resets: 0, verdict };
    for step in &stream.steps {
        match step {
            Step::Heard { event, handed_on } => follower.heard(event, *handed_on, truth),
            Step::Loaded { thread, after, through, messages } => {
                follower.loaded(thread, *after, *through, messages, truth);
            }
            Step::Reset => {
                follower.resets += 1;
                follower.verdict.resets += 1;
            }
        }
    }
    follower.end(truth);
}

impl<'a> Follower<'a, '_> {
    fn blame(&mut self, breach: Breach, thread: &Name, sequence: u64, how: impl Into<String>) {
        self.verdict.blame(breach, self.user, thread, sequence, how);
    }

    fn heard(&mut self, event: &'a Event, handed_on: bool, truth: &mut Truth<'a>) {
        let Event { thread, sequence, fact } = event;
        let within = |tenure: &&Tenure| tenure.from <= *sequence && tenure.until.is_none_or(|until| *sequence <= until);
        if !self.tenures.get(&**thread).is_some_and(|tenures| tenures.iter().any(within)) {
            return self.blame(Breach::Foreign, thread, *sequence, "the user was no member then");
        }
        if !truth.thread(thread).agrees(event) {
            self.blame(Breach::Altered, thread, *sequence, "the event says otherwise than the history or another device");
        }
        let place = self.places.entry(&**thread).or_default();
        let (last, loaded) = (place.last, place.loaded);
        let seen = place.seen.contains(sequence);
        if !handed_on {
            if seen || *sequence <= loaded {
                self.verdict.repeated += 1;
            } else {
                self.blame(Breach::Disordered, thread, *sequence, format!("it came after {last} and was dropped"));
            }
            return;
        }
        place.resets = Some(self.resets);
        place.last = last.max(*sequence);
        place.seen.insert(*sequence);
        self.verdict.handed_on += 1;
        if seen {
            self.blame(Breach::Doubled, thread, *sequence, "it was handed on twice");
        } else if *sequence <= last {
            self.blame(Breach::Disordered, thread, *sequence, format!("it was handed on after {last}"));
        } else if *sequence > last + 1 && !self.tells_of_a_hole(fact) {
            self.blame(Breach::Hole, thread, *sequence, format!("the last one before it was {last}"));
        }
    }

    /// Whether what comes before an event need not have come: who has left or come back is told that alone.
    fn tells_of_a_hole(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Joined(who) | Fact::Left(who) => who == self.user,
            Fact::Created | Fact::Ended => true,
            Fact::Posted(_) | Fact::Other => false,
        }
    }

    /// A device loads a thread when it begins, when it was told to, and when its user has become a member. In the last
    /// case it counts from the event that said so, so that loading hides no hole.
    fn loaded(&mut self, name: &'a Name, after: u64, through: u64, messages: &[(u64, Message)], truth: &mut Truth<'a>) {
        if !self.tenures.contains_key(&**name) {
            return self.blame(Breach::Foreign, name, through, "the user was never a member and could load it");
        }
        let thread = truth.thread(name);
        let shown: HashMap<u64, &Message> = messages.iter().map(|(sequence, message)| (*sequence, message)).collect();
        let mut missing: Vec<u64> = thread.rows.keys().copied().filter(|s| *s > after && *s <= through).collect();
        missing.retain(|sequence| !shown.contains_key(sequence));
        let other = |(sequence, message): &&(u64, Message)| {
            thread.rows.get(sequence).is_none_or(|row| differ(message, &row.message))
        };
        let others: Vec<u64> = messages.iter().filter(other).map(|(sequence, _)| *sequence).collect();
        for sequence in missing {
            self.blame(Breach::Lost, name, sequence, "the device loaded the thread and it was not there");
        }
        for sequence in others {
            self.blame(Breach::Altered, name, sequence, "it was loaded otherwise than the history tells it");
        }
        let place = self.places.entry(&**name).or_default();
        if place.resets != Some(self.resets) {
            place.resets = Some(self.resets);
            place.seen.extend(place.last + 1..=through);
            place.last = place.last.max(through);
        }
        place.loaded = place.loaded.max(through);
    }

    /// Everything of a tenure that lasts must have been seen; of one that has ended, its end or a later one's, unless the
    /// device had to load everything and the thread was gone.
    fn end(mut self, truth: &mut Truth<'a>) {
        for (_, tenures) in std::mem::take(&mut self.tenures) {
            let place = self.places.remove(&*tenures[0].thread).unwrap_or_default();
            for tenure in &tenures {
                let thread = &tenure.thread;
                let Some(until) = tenure.until else {
                    let head = truth.thread(thread).head;
                    for sequence in (tenure.from..=head).filter(|sequence| !place.seen.contains(sequence)) {
                        self.blame(Breach::Lost, thread, sequence, "visible to the user and never seen");
                    }
                    continue;
                };
                let told = |other: &&Tenure| other.until.is_some_and(|end| end >= until && place.seen.contains(&end));
                let gone = place.resets.unwrap_or(0) < self.resets;
                if !gone && !tenures.iter().any(told) {
                    self.blame(Breach::Lost, thread, until, "the user was not told that they are no member any more");
                }
            }
        }
    }
}
