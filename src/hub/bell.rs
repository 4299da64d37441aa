//! A bell that rings when it is dropped: a panic drops an actor without a word, and a silent hub, writer or
//! outlet would be worse than none. No supervisor brings its state back, so the process ends and is started anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

/// The exit code of a process whose heart stopped: EX_SOFTWARE of sysexits.h.
pub const EXIT_SOFTWARE: i32 = 70;

/// Time that the last line of the log may take to be written.
const LAST_LINE: Duration = Duration::from_millis(200);

/// Logs a line on a thread of its own: where stderr is a pipe that is full and not read, writing never returns. The receiver is
/// told when the line is written, and is disconnected if the system gives no thread.
pub fn log_aside(level: log::Level, line: String) -> Receiver<()> {
    let (written, told) = channel();
    let write = move || {
        log::log!(level, "{line}");
        log::logger().flush();
        // Often nobody waits for it.
        let _ = written.send(());
    };
    let _ = thread::Builder::new().name("last line".to_owned()).spawn(write);
    told
}

/// Ends the process at once with exit code 70, whatever else goes on in it, also where the log cannot be written.
pub fn exit_now(why: &str) -> ! {
    let _ = log_aside(log::Level::Error, why.to_owned()).recv_timeout(LAST_LINE);
    std::process::exit(EXIT_SOFTWARE);
}

/// Ends the process with exit code 70 when dropped, unless the node is ending on purpose.
pub struct Bell {
    what: &'static str,
    ending: Arc<AtomicBool>,
}

impl Bell {
    /// A bell on a part of a node. `ending` disarms all bells of the node at once.
    pub fn new(what: &'static str, ending: &Arc<AtomicBool>) -> Bell {
        Bell { what, ending: Arc::clone(ending) }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if !self.ending.load(Ordering::Acquire) {
            exit_now(&format!("{} ended without being asked to; exiting so that a fresh process takes over", self.what));
        }
    }
}
