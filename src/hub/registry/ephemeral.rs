//! What a thread's listeners are told and nobody keeps: to whoever listens for longer than one answer, and only where there is room.

use bytestring::ByteString;

use super::{Mode, Registry, Transport, User};
use crate::domain::{ThreadId, UserId};

impl Registry {
    /// Tells everybody who hears a thread, but for one user.
    pub fn tell_others(&self, thread: ThreadId, except: &UserId, text: &ByteString) {
        for number in self.listeners.get(&thread).into_iter().flatten() {
            let user = &self.users[*number];
            if user.id != *except {
                self.tell_listening(user, text);
            }
        }
    }

    /// Tells one user.
    pub fn tell(&self, user: &UserId, text: &ByteString) {
        if let Some(number) = self.by_id.get(user) {
            self.tell_listening(&self.users[*number], text);
        }
    }

    /// One that catches up is told too: who asked who is here must hear of every change since.
    fn tell_listening(&self, user: &User, text: &ByteString) {
        for seat in user.seats.iter().map(|slot| &self.seats[*slot]) {
            if seat.sitter.transport != Transport::Poll && seat.mode != Mode::Joining && !seat.sitter.is_over(self.now) {
                seat.line.send_ephemeral(text.clone());
            }
        }
    }
}
