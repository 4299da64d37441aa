//! A user's desk: drafts that wait to be sent, by REST or by socket. One whose answer did not come goes back to it and is
//! sent again under the same key, by chance over the other transport.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::{
    checker::{Acknowledged, Name},
    dice::Dice,
    line::Line,
    stage::{Stage, User},
};

/// How a draft is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Rest,
    Socket,
}

/// A message that is to be sent, once.
#[derive(Debug)]
pub struct Draft {
    pub thread: Name,
    pub key: String,
    pub content: String,
}

impl Draft {
    /// `message.send`'s data, and the body of `POST /api/messages`.
    pub fn body(&self) -> Value {
        json!({"thread_id": &*self.thread, "content": self.content, "client_message_id": self.key})
    }
}

/// See the module.
pub struct Desk<'s> {
    stage: &'s Stage,
    user: &'s User,
    waiting: [RefCell<VecDeque<Draft>>; 2],
    left: Cell<usize>,
    dice: RefCell<Dice>,
    told: RefCell<Vec<Acknowledged>>,
    sent: &'s watch::Sender<u64>,
    /// Acknowledgements over REST and over sockets.
    pub over: [Cell<u64>; 2],
    /// How often a draft came back.
    pub retries: Cell<u64>,
    /// Wakes who waits for drafts, or for the last of them to be acknowledged.
    pub stir: Notify,
}

impl<'s> Desk<'s> {
    /// With these drafts, every second one by REST; `sent` counts what is acknowledged.
    pub fn new(stage: &'s Stage, user: &'s User, drafts: Vec<Draft>, sent: &'s watch::Sender<u64>, dice: Dice) -> Desk<'s> {
        let left = Cell::new(drafts.len());
        let waiting: [RefCell<VecDeque<Draft>>; 2] = Default::default();
        for (number, draft) in drafts.into_iter().enumerate() {
            waiting[number % 2].borrow_mut().push_back(draft);
        }
        let (dice, told, stir) = (RefCell::new(dice), RefCell::default(), Notify::new());
        Desk { stage, user, waiting, left, dice, told, sent, over: Default::default(), retries: Cell::new(0), stir }
    }

    /// The next draft for a transport.
    pub fn take(&self, transport: Transport) -> Option<Draft> {
        self.waiting[transport as usize].borrow_mut().pop_front()
    }

    /// Whether everything is acknowledged.
    pub fn is_clear(&self) -> bool {
        self.left.get() == 0
    }

    /// A draft whose answer did not come.
    pub fn give_back(&self, draft: Draft) {
        self.retries.set(self.retries.get() + 1);
        let transport = usize::from(self.dice.borrow_mut().chance(50));
        self.waiting[transport].borrow_mut().push_back(draft);
        self.stir.notify_waiters();
    }

    /// A message was shown as stored.
    pub fn stored(&self, shown: &Value, transport: Transport) {
        let told = self.stage.names.borrow_mut().acknowledged(shown);
        self.told.borrow_mut().push(told.unwrap_or_else(|| panic!("no message: {shown}")));
        self.over[transport as usize].set(self.over[transport as usize].get() + 1);
        self.left.set(self.left.get() - 1);
        self.sent.send_modify(|sent| *sent += 1);
        if self.is_clear() {
            self.stir.notify_waiters();
        }
    }

    /// Everything that was acknowledged.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.told.take()
    }

    /// Sends by REST until nothing is left.
    pub async fn post_all(&self) {
        while !self.is_clear() {
            match self.take(Transport::Rest) {
                Some(draft) => self.post(draft).await,
                None => self.stir.notified().await,
            }
        }
    }

    async fn post(&self, draft: Draft) {
        let url = format!("http://127.0.0.1:{}/api/messages", self.stage.storm.port);
        let mut request = self.stage.client.post(url).bearer_auth(&self.user.token);
        let mut body = draft.body();
        // The key stands in the body or in the header: it is the same key.
        if self.dice.borrow_mut().chance(50) {
            body.as_object_mut().expect("an object").remove("client_message_id");
            request = request.header("Idempotency-Key", &draft.key);
        }
        let Ok(answer) = request.json(&body).send().await else { return self.give_back(draft) };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else { return self.give_back(draft) };
        match status {
            200 | 201 => {
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(answer["duplicate"], status == 200, "{answer}");
                self.stored(&answer["message"], Transport::Rest);
            }
            408 | 500.. => self.give_back(draft),
            _ => panic!("{draft:?} was refused: {status} {text}"),
        }
    }

    /// Sends by a socket of its own until nothing is left: for users whose device has none.
    pub async fn say_all(&self) {
        while !self.is_clear() {
            let Some(mut line) = Line::open(self.stage, self.user, None).await else { continue };
            while !self.is_clear() && line.fill(self).await {
                let over = tokio::select! {
                    news = line.next(self) => news.is_err(),
                    () = self.stir.notified() => false,
                };
                if over {
                    break;
                }
            }
            line.abandon(self);
        }
    }

    /// How long silence may last until a connection counts as dead: the server pings each second.
    pub const SILENCE: Duration = Duration::from_secs(4);
}
