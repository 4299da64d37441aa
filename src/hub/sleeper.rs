//! One task that waits for something to change on its own thread.

use std::{
    cell::Cell,
    task::{Context, Poll, Waker},
};

#[derive(Default)]
pub(super) struct Sleeper(Cell<Option<Waker>>);

impl Sleeper {
    pub(super) fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        self.0.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}
