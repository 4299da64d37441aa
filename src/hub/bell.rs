//! A bell that rings when it is dropped: a panic drops an actor without a word, and a silent hub, writer or
//! outlet would be worse than none. No supervisor brings its state back, so the process ends and is started anew.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The exit code of a process whose heart stopped: EX_SOFTWARE of sysexits.h.
pub const EXIT_SOFTWARE: i32 = 70;

/// Ends the process at once with exit code 70, whatever else goes on in it.
pub fn exit_now(why: &str) -> ! {
    log::error!("{why}");
    log::logger().flush();
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
