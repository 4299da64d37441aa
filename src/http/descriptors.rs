//! How the file descriptors of the process are shared out. A connection takes one; what the system allows is divided between
//! sockets, plain connections, and the store, the log, the port and the threads, so that none of them runs out.

use crate::{domain::Limits, socket::budget::Bounds};

/// Descriptors of the store, the log, the port and outgoing requests. About 30 are open in an idle process with two workers.
const OWN: u64 = 64;
/// Descriptors of a worker thread's event loops.
const OF_A_WORKER: u64 = 8;
/// One part in so many is for plain connections at least: health checks, REST, and upgrades on their way.
const PLAIN_PART: u64 = 32;
const PLAIN_MIN: u64 = 32;
/// At least as many for each worker: half of them are its margin below its last place.
const PLAIN_MIN_OF_A_WORKER: u64 = 4;
/// Plain connections of a worker at most: each holds 16 KiB of buffers.
const PLAIN_MAX: u64 = 10_000;

/// What there is to share out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    files: u64,
    workers: u64,
    /// Descriptors that a connection takes.
    each: u64,
}

impl Descriptors {
    /// Raises the limit of this process as far as the system lets it.
    pub fn of_process(workers: usize) -> Descriptors {
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
        Descriptors { files, workers: (workers as u64).max(1), each: 1 }
    }

    /// Where each connection takes two.
    #[must_use]
    pub fn doubled(self) -> Descriptors {
        Descriptors { each: 2, ..self }
    }

    /// All connections together.
    fn connections(self) -> u64 {
        (self.files.saturating_sub(OWN + OF_A_WORKER * self.workers) / self.each).max(2)
    }

    /// Those of them that never become a socket.
    fn plain(self) -> u64 {
        let all = self.connections();
        let least = PLAIN_MIN.max(PLAIN_MIN_OF_A_WORKER * self.workers);
        (all / PLAIN_PART).clamp(least, PLAIN_MAX * self.workers).min(all / 2)
    }

    /// Limits of a node whose sockets, streams and polls fit. Those that do not fit are refused with an answer at admission,
    /// instead of failing in the middle.
    pub fn within(self, limits: &Limits) -> Limits {
        let fit = self.connections() - self.plain();
        if fit < limits.connections_node {
            let files = self.files;
            log::warn!("the system allows {files} open files: room for {fit} connections, not {}", limits.connections_node);
        }
        Limits { connections_node: limits.connections_node.min(fit), ..limits.clone() }
    }

    /// What one worker may have of them.
    pub fn of_a_worker(self, limits: &Limits) -> Bounds {
        let share = (self.connections() / self.workers).max(1);
        let all_max = share.min(limits.connections_node.saturating_add(PLAIN_MAX));
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        // Room for connections that come while others are being ended: half of the worker's plain places. Admission refuses
        // sockets before they fill the other half, so sockets alone never make a worker end idle connections.
        let margin = (self.plain() / self.workers / 2).clamp(1, 256);
        let comfortable = all_max.saturating_sub(margin);
        Bounds { all_max: count(all_max), comfortable: count(comfortable), plain_max: count(PLAIN_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sockets(files: u64, workers: u64) -> u64 {
        let plenty = Limits { connections_node: 1_000_000, ..Limits::default() };
        Descriptors { files, workers, each: 1 }.within(&plenty).connections_node
    }

    #[test]
    fn twenty_thousand_files_hold_nineteen_thousand_sockets() {
        assert!(sockets(20_000, 2) >= 19_000, "{}", sockets(20_000, 2));
        assert!(sockets(20_000, 8) >= 19_000, "{}", sockets(20_000, 8));
        assert_eq!(sockets(400, 2), 288);
        assert_eq!(sockets(1_024, 2), 912);
    }

    #[test]
    fn a_worker_with_its_part_of_all_sockets_has_room_for_idle_connections() {
        let descriptors = Descriptors { files: 1_024, workers: 2, each: 1 };
        let limits = descriptors.within(&Limits { connections_node: 1_000_000, ..Limits::default() });
        let bounds = descriptors.of_a_worker(&limits);
        assert_eq!((limits.connections_node / 2, bounds.comfortable, bounds.all_max), (456, 464, 472));
    }

    proptest! {
        #[test]
        fn the_shares_never_exceed_the_files_and_leave_each_its_part(
            files in 128u64..2_000_000, workers in 1u64..65, wanted in 1u64..1_000_000
        ) {
            prop_assume!(files > OWN + OF_A_WORKER * workers + 4 * workers);
            let descriptors = Descriptors { files, workers, each: 1 };
            let limits = descriptors.within(&Limits { connections_node: wanted, ..Limits::default() });
            let Bounds { all_max, comfortable, .. } = descriptors.of_a_worker(&limits);
            prop_assert!(all_max as u64 * workers + OWN + OF_A_WORKER * workers <= files);
            prop_assert!(comfortable < all_max);
            prop_assert!(comfortable as u64 * workers > limits.connections_node, "all sockets, and none idle ends");
            prop_assert!(limits.connections_node < descriptors.connections(), "there is room for a health check");
        }
    }
}
