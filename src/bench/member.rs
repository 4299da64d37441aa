//! One user of the run: what they are to do next, and what of theirs is not acknowledged yet. Shared, within one worker,
//! by whoever gives orders and by the task that holds the user's socket.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use super::{checker::Name, frames::Draft};

/// Most messages of one user that wait for their acknowledgement; what comes beyond is not sent.
const WAITING_MAX: usize = 256;

/// What a user is to do beside sending.
#[derive(Debug, Default, Clone, Copy)]
pub struct Orders {
    /// Drop the connection without a word, and come back.
    pub drop: bool,
    /// Read nothing.
    pub pause: bool,
    /// Leave for good.
    pub end: bool,
    /// Say that they type.
    pub typing: bool,
    /// Move their read marker.
    pub read: bool,
}

/// A message on its way.
#[derive(Debug)]
pub struct Waiting {
    /// Which.
    pub draft: Draft,
    /// Whether it goes by REST.
    pub by_rest: bool,
    /// Whether an answer to it may come.
    pub flying: bool,
    /// How often it was sent.
    pub tries: u32,
}

/// See the module.
pub struct Member {
    /// Number among all users.
    pub number: u32,
    /// User id.
    pub name: Name,
    /// Bearer token.
    pub token: Box<str>,
    /// Number of their thread.
    pub thread: u32,
    /// Its id.
    pub thread_id: Name,
    /// Whether they are one who stops reading.
    pub slow: bool,
    /// The last sequence they were handed.
    pub last: Cell<u64>,
    /// When something last came from the server.
    pub heard: Cell<Instant>,
    /// Until when the server wants to be sent nothing.
    pub hold: Cell<Option<Instant>>,
    /// Whether something waits until others are acknowledged.
    pub held_back: Cell<bool>,
    /// Messages on their way.
    pub waiting: RefCell<VecDeque<Waiting>>,
    orders: Cell<Orders>,
    numbered: Cell<u64>,
    stirred: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Member {
    /// One who is handed everything above a sequence.
    pub fn new(number: u32, (name, token): (Name, Box<str>), thread: (u32, Name), slow: bool, last: u64) -> Member {
        Member {
            number,
            name,
            token,
            thread: thread.0,
            thread_id: thread.1,
            slow,
            last: Cell::new(last),
            heard: Cell::new(Instant::now()),
            hold: Cell::new(None),
            held_back: Cell::new(false),
            waiting: RefCell::default(),
            orders: Cell::default(),
            numbered: Cell::new(0),
            stirred: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    /// Messages so far.
    pub fn drafted(&self) -> u64 {
        self.numbered.get()
    }

    /// A message to be sent; `None` if too many wait.
    pub fn draft(&self, intended: Duration, by_rest: bool) -> Option<Draft> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        let number = self.numbered.get() + 1;
        self.numbered.set(number);
        let draft = Draft { user: self.number, number, intended };
        waiting.push_back(Waiting { draft, by_rest, flying: false, tries: 0 });
        Some(draft)
    }

    /// Takes the message of this number off those on their way.
    pub fn answered(&self, number: u64) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|waiting| waiting.draft.number == number)?;
        waiting.remove(place)
    }

    /// Changes something about a message on its way.
    pub fn change(&self, number: u64, change: impl FnOnce(&mut Waiting)) {
        if let Some(waiting) = self.waiting.borrow_mut().iter_mut().find(|waiting| waiting.draft.number == number) {
            change(waiting);
        }
    }

    /// Nothing that was sent by socket will be answered any more.
    pub fn land(&self) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.iter_mut().filter(|waiting| !waiting.by_rest).for_each(|waiting| waiting.flying = false);
    }

    /// Gives orders.
    pub fn order(&self, give: impl FnOnce(&mut Orders)) {
        let mut orders = self.orders.get();
        give(&mut orders);
        self.orders.set(orders);
        self.stir();
    }

    /// What is to be done now. What is done once is taken.
    pub fn orders(&self) -> Orders {
        let orders = self.orders.get();
        self.orders.set(Orders { drop: false, typing: false, read: false, ..orders });
        orders
    }

    /// Whether they are to leave for good.
    pub fn is_over(&self) -> bool {
        self.orders.get().end
    }

    /// Wakes the task that holds the socket.
    pub fn stir(&self) {
        self.stirred.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Ready once somebody has stirred.
    pub fn poll_stirred(&self, waker: &Waker) -> Poll<()> {
        if self.stirred.take() {
            return Poll::Ready(());
        }
        let mut own = self.waker.borrow_mut();
        if own.as_ref().is_none_or(|own| !own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Waits so long, or until the end.
    pub async fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_over() {
            let stirred = std::future::poll_fn(|cx| self.poll_stirred(cx.waker()));
            if tokio::time::timeout_at(until.into(), stirred).await.is_err() {
                return;
            }
        }
    }
}
