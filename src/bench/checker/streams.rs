//! What a device saw: whether it was handed every event of its user's threads once, in sequence, and no other.

use std::collections::{HashMap, HashSet};

use super::{
    histories::Truth,
    ranges::Ranges,
    record::{Event, Fact, Message, Name, Step, Tenure},
    verdict::{Breach, Verdict},
};

/// Where a device is in one thread.
#[derive(Default)]
struct Place {
    /// The last sequence that it was handed, or that it counts from.
    last: u64,
    /// What it was handed, or loaded where it had to load.
    seen: Ranges,
    /// Up to where it has loaded the thread.
    loaded: u64,
    /// How many resets it had been told when it last heard of this thread. `None`: it never has.
    resets: Option<u64>,
}

/// A device under judgement: it is told each step when it is taken, from the first to the last.
pub struct Follower {
    user: Name,
    tenures: HashMap<Name, Vec<Tenure>>,
    places: HashMap<Name, Place>,
    resets: u64,
}

impl Follower {
    /// A device of this user, who is a member as these tenures say; those of others are passed over.
    pub fn new<'a>(user: &Name, tenures: impl IntoIterator<Item = &'a Tenure>) -> Follower {
        let mut own: HashMap<Name, Vec<Tenure>> = HashMap::new();
        for tenure in tenures.into_iter().filter(|tenure| tenure.user == *user) {
            own.entry(Name::clone(&tenure.thread)).or_default().push(tenure.clone());
        }
        Follower { user: Name::clone(user), tenures: own, places: HashMap::new(), resets: 0 }
    }

    pub(super) fn step(&mut self, step: &Step, truth: &mut Truth, verdict: &mut Verdict) {
        match step {
            Step::Heard { event, handed_on } => self.heard(event, *handed_on, truth, verdict),
            Step::Loaded { thread, after, through, messages } => {
                self.loaded(thread, (*after, *through), messages, truth, verdict);
            }
            Step::Reset => {
                self.resets += 1;
                verdict.resets += 1;
            }
        }
    }

    fn heard(&mut self, event: &Event, handed_on: bool, truth: &mut Truth, verdict: &mut Verdict) {
        let Event { thread, sequence, fact } = event;
        let mut blame = |breach, how: &str| verdict.blame(breach, &self.user, thread, *sequence, how);
        let within = |tenure: &Tenure| tenure.from <= *sequence && tenure.until.is_none_or(|until| *sequence <= until);
        if !self.tenures.get(thread).is_some_and(|tenures| tenures.iter().any(within)) {
            return blame(Breach::Foreign, "the user was no member then");
        }
        if !truth.agrees(event, &self.user) {
            blame(Breach::Altered, "the event says otherwise than the history or another device");
        }
        if !self.places.contains_key(thread) {
            self.places.insert(Name::clone(thread), Place::default());
        }
        let place = self.places.get_mut(thread).expect("it was put there");
        let last = place.last;
        let seen = place.seen.contains(*sequence);
        if !handed_on {
            if seen || *sequence <= place.loaded {
                verdict.repeated += 1;
            } else {
                blame(Breach::Disordered, &format!("it came after {last} and was dropped"));
            }
            return;
        }
        place.resets = Some(self.resets);
        place.last = last.max(*sequence);
        place.seen.insert(*sequence, *sequence);
        if seen {
            blame(Breach::Doubled, "it was handed on twice");
        } else if *sequence <= last {
            blame(Breach::Disordered, &format!("it was handed on after {last}"));
        } else if *sequence > last + 1 && !tells_of_a_hole(&self.user, fact) {
            blame(Breach::Hole, &format!("the last one before it was {last}"));
        }
        verdict.handed_on += 1;
    }

    /// A device loads a thread when it begins, when it was told to, and when its user has become a member. In the last
    /// case it counts from the event that said so, so that loading hides no hole.
    fn loaded(
        &mut self,
        name: &Name,
        (after, through): (u64, u64),
        messages: &[(u64, Message)],
        truth: &mut Truth,
        verdict: &mut Verdict,
    ) {
        let mut blame = |breach, sequence, how| verdict.blame(breach, &self.user, name, sequence, how);
        if !self.tenures.contains_key(name) {
            return blame(Breach::Foreign, through, "the user was never a member and could load it");
        }
        let shown: HashSet<u64> = messages.iter().map(|(sequence, _)| *sequence).collect();
        for sequence in truth.thread(name).messages(after, through).into_iter().filter(|s| !shown.contains(s)) {
            blame(Breach::Lost, sequence, "the device loaded the thread and it was not there");
        }
        for (sequence, message) in messages {
            let fact = Fact::Posted(message.clone());
            if !truth.agrees(&Event { thread: Name::clone(name), sequence: *sequence, fact }, &self.user) {
                blame(Breach::Altered, *sequence, "it was loaded otherwise than the history or a device tells it");
            }
        }
        let place = self.places.entry(Name::clone(name)).or_default();
        if place.resets != Some(self.resets) {
            place.resets = Some(self.resets);
            place.seen.insert(place.last + 1, through);
            place.last = place.last.max(through);
        }
        place.loaded = place.loaded.max(through);
    }

    /// Everything of a tenure that lasts must have been seen; of one that has ended, its end or a later one's, unless the
    /// device had to load everything and the thread was gone.
    pub(super) fn end(mut self, truth: &mut Truth, verdict: &mut Verdict) {
        for (thread, tenures) in std::mem::take(&mut self.tenures) {
            let place = self.places.remove(&thread).unwrap_or_default();
            for tenure in &tenures {
                let Some(until) = tenure.until else {
                    let head = truth.thread(&thread).head;
                    for sequence in place.seen.missing(tenure.from, head) {
                        verdict.blame(Breach::Lost, &self.user, &thread, sequence, "visible to the user and never seen");
                    }
                    continue;
                };
                let told = |other: &Tenure| other.until.is_some_and(|end| end >= until && place.seen.contains(end));
                let gone = place.resets.unwrap_or(0) < self.resets;
                if !gone && !tenures.iter().any(told) {
                    let how = "the user was not told that they are no member any more";
                    verdict.blame(Breach::Lost, &self.user, &thread, until, how);
                }
            }
        }
    }
}

/// Whether what comes before an event need not have come: who has left or come back is told that alone.
fn tells_of_a_hole(user: &Name, fact: &Fact) -> bool {
    match fact {
        Fact::Joined(who) | Fact::Left(who) => who == user,
        Fact::Created | Fact::Ended => true,
        Fact::Posted(_) | Fact::Other => false,
    }
}
