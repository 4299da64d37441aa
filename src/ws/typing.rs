//! Rate limit of the typing notices of one connection, per thread. Notices above it are dropped silently; their frames count in the
//! connection's frame rate limit.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::domain::{Limits, ThreadId};

/// Time of the last notice in each thread. Entries expire, so it holds no more threads than frames arrive in one interval.
#[derive(Debug)]
pub(super) struct Typing {
    interval: Duration,
    sent: HashMap<ThreadId, Instant>,
}

impl Typing {
    /// No notice was sent yet.
    pub fn new(limits: &Limits) -> Typing {
        let a_second = u32::try_from(limits.typing_per_second).unwrap_or(u32::MAX);
        Typing { interval: Duration::from_secs(1) / a_second, sent: HashMap::new() }
    }

    /// Whether a notice may be sent to a thread now. If so, counts it as sent.
    pub fn may_send(&mut self, thread: ThreadId, now: Instant) -> bool {
        let interval = self.interval;
        self.sent.retain(|_, at| now.duration_since(*at) < interval);
        let free = !self.sent.contains_key(&thread);
        if free {
            self.sent.insert(thread, now);
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
        assert!(typing.may_send(one, at(0)) && typing.may_send(two, at(500)));
        assert!(!typing.may_send(one, at(999)) && !typing.may_send(two, at(1_000)));
        assert!(typing.may_send(one, at(1_000)));
        for thread in 0..10_000 {
            typing.may_send(ThreadId::new(), at(2_000 + 10 * thread));
        }
        assert!(typing.sent.len() <= 100, "a second of frames: {}", typing.sent.len());
    }

    #[test]
    fn the_limit_says_how_often() {
        let limits = Limits { typing_per_second: 4, ..Limits::default() };
        let (mut typing, start, thread) = (Typing::new(&limits), Instant::now(), ThreadId::new());
        let sent = (0..1_000).filter(|millis| typing.may_send(thread, start + Duration::from_millis(*millis))).count();
        assert_eq!(sent, 4);
    }
}
