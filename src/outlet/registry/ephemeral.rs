//! Delivery of ephemeral frames: typing notices and presence changes, which are not stored.

use super::{ConnectionIo, Entry, Mode, Registry, User};
use crate::{
    domain::{ThreadId, UserId},
    wire::TextFrame,
};

impl Registry {
    /// Sends a typing notice to every subscriber of a thread except one user. Connections whose outbox is half full miss it.
    pub fn send_to_others(&self, thread: ThreadId, except: &UserId, frame: &TextFrame) {
        for number in self.subscribers.get(&thread).into_iter().flatten() {
            let user = &self.users[*number];
            if user.id != *except {
                self.receivers(user).for_each(|io| io.send_ephemeral(frame.clone()));
            }
        }
    }

    /// Sends a presence change to one user. A connection whose outbox is full is closed as a slow reader, because its client would
    /// show outdated presence; it reconnects and asks again.
    pub fn send_to_user(&self, user: &UserId, frame: &TextFrame) {
        if let Some(number) = self.by_id.get(user) {
            self.receivers(&self.users[*number]).for_each(|io| io.send_after_start(frame.clone()));
        }
    }

    /// Connections of a user that receive ephemeral frames. Those that catch up do too: a client that asked who is present must
    /// receive every change since.
    fn receivers(&self, user: &User) -> impl Iterator<Item = &ConnectionIo> {
        let entries = user.entries.iter().map(|slot| &self.entries[*slot]);
        let receives = |entry: &&Entry| entry.subscriber.transport.is_continuous() && entry.mode != Mode::Joining;
        entries.filter(receives).filter(|entry| !entry.subscriber.has_expired(self.now)).map(|entry| &*entry.io)
    }
}
