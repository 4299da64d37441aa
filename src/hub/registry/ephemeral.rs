//! What a thread's listeners are told and nobody keeps: to whoever listens for longer than one answer, and only where there is
//! room.

use super::{Mode, Registry, User};
use crate::{
    domain::{ThreadId, UserId},
    wire::TextFrame,
};

impl Registry {
    /// Tells everybody who hears a thread, but for one user.
    pub fn tell_others(&self, thread: ThreadId, except: &UserId, frame: &TextFrame) {
        for number in self.listeners.get(&thread).into_iter().flatten() {
            let user = &self.users[*number];
            if user.id != *except {
                self.tell_listening(user, frame);
            }
        }
    }

    /// Tells one user.
    pub fn tell(&self, user: &UserId, frame: &TextFrame) {
        if let Some(number) = self.by_id.get(user) {
            self.tell_listening(&self.users[*number], frame);
        }
    }

    /// One that catches up is told too: who asked who is here must hear of every change since.
    fn tell_listening(&self, user: &User, frame: &TextFrame) {
        for seat in user.seats.iter().map(|slot| &self.seats[*slot]) {
            if seat.sitter.transport.is_told() && seat.mode != Mode::Joining && !seat.sitter.is_over(self.now) {
                seat.line.send_ephemeral(frame.clone());
            }
        }
    }
}
