//! A slot for the waker of one task on the same thread.

use std::{
    cell::Cell,
    task::{Context, Poll, Waker},
};

/// Holds the waker of the task that waits for one condition. A later waiter replaces an earlier one.
#[derive(Default)]
pub(super) struct WakerSlot(Cell<Option<Waker>>);

impl WakerSlot {
    /// Stores the waker of the current task and returns `Pending`.
    pub(super) fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        self.0.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Wakes the waiting task, if there is one.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}
