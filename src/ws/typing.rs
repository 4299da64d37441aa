//! How often one connection tells that its user types: so many times a second in each thread. What comes between is
//! dropped without a word; the frames themselves count in the connection's rate.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::domain::{Limits, ThreadId};

/// When each thread was last told. Holds no more threads than frames come in between two notices.
#[derive(Debug)]
pub(super) struct Typing {
    apart: Duration,
    told: HashMap<ThreadId, Instant>,
}

impl Typing {
    /// Nobody was told yet.
    pub fn new(limits: &Limits) -> Typing {
        let a_second = u32::try_from(limits.typing_per_second).unwrap_or(u32::MAX);
        Typing { apart: Duration::from_secs(1) / a_second, told: HashMap::new() }
    }

    /// Whether the others of a thread may be told now; if so, it counts as done.
    pub fn may_tell(&mut self, thread: ThreadId, now: Instant) -> bool {
        let apart = self.apart;
        self.told.retain(|_, at| now.duration_since(*at) < apart);
        let free = !self.told.contains_key(&thread);
        if free {
            self.told.insert(thread, now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_is_told_once_a_second_and_forgotten_afterwards() {
        let (mut typing, start) = (Typing::new(&Limits::default()), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let (one, two) = (ThreadId::new(), ThreadId::new());
        assert!(typing.may_tell(one, at(0)) && typing.may_tell(two, at(500)));
        assert!(!typing.may_tell(one, at(999)) && !typing.may_tell(two, at(1_000)));
        assert!(typing.may_tell(one, at(1_000)));
        for thread in 0..10_000 {
            typing.may_tell(ThreadId::new(), at(2_000 + 10 * thread));
        }
        assert!(typing.told.len() <= 100, "a second of frames: {}", typing.told.len());
    }

    #[test]
    fn the_limit_says_how_often() {
        let limits = Limits { typing_per_second: 4, ..Limits::default() };
        let (mut typing, start, thread) = (Typing::new(&limits), Instant::now(), ThreadId::new());
        let told = (0..1_000).filter(|millis| typing.may_tell(thread, start + Duration::from_millis(*millis))).count();
        assert_eq!(told, 4);
    }
}
