//! Ends the process: the guard that aborts it when a critical part panics, and its last log line.
//!
//! A panic drops an actor silently, and a gateway without its hub, writer or outlet would be worse than none. No supervisor can
//! restore their state, so the process ends and its supervisor (systemd, Kubernetes) starts a new one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

/// Exit code after an internal failure: `EX_SOFTWARE` of sysexits.h.
pub const EXIT_SOFTWARE: i32 = 70;

/// Time limit for writing the last log line.
const LAST_LOG_LINE_TIMEOUT: Duration = Duration::from_millis(200);

/// Logs a line on a thread of its own, because a write to a full stderr pipe that nobody reads never returns. The receiver gets a
/// message when the line is written, and is disconnected if the thread cannot be started.
pub fn log_detached(level: log::Level, line: String) -> Receiver<()> {
    let (written, receiver) = channel();
    let write = move || {
        log::log!(level, "{line}");
        log::logger().flush();
        // The receiver may have been dropped; then nothing waits for this line.
        let _ = written.send(());
    };
    let _ = thread::Builder::new().name("last log line".to_owned()).spawn(write);
    receiver
}

/// Exits at once with code 70, even if the log cannot be written.
pub fn exit_now(reason: &str) -> ! {
    let _ = log_detached(log::Level::Error, reason.to_owned()).recv_timeout(LAST_LOG_LINE_TIMEOUT);
    std::process::exit(EXIT_SOFTWARE);
}

/// Ends the process with exit code 70 when dropped, unless the node is shutting down.
pub struct AbortGuard {
    part: &'static str,
    shutting_down: Arc<AtomicBool>,
}

impl AbortGuard {
    /// A guard for a part of a node. Setting `shutting_down` disarms all guards of the node.
    pub fn new(part: &'static str, shutting_down: &Arc<AtomicBool>) -> AbortGuard {
        AbortGuard { part, shutting_down: Arc::clone(shutting_down) }
    }
}

impl Drop for AbortGuard {
    fn drop(&mut self) {
        if !self.shutting_down.load(Ordering::Acquire) {
            exit_now(&format!("{} ended without being asked to; exiting so that a fresh process takes over", self.part));
        }
    }
}
