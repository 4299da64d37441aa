//! What a thread's listeners are told and nobody keeps: to whoever listens for longer than one answer, and only where there is
//! room.

use super::{Line, Mode, Registry, Seat, User};
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
                self.listening(user).for_each(|line| line.send_ephemeral(frame.clone()));
            }
        }
    }

    /// Tells one user something that changes what it knows: without room in the outbox it is a slow reader, which comes back
    /// and asks anew.
    pub fn tell(&self, user: &UserId, frame: &TextFrame) {
        if let Some(number) = self.by_id.get(user) {
            self.listening(&self.users[*number]).for_each(|line| line.send_once_begun(frame.clone()));
        }
    }

    /// One that catches up is told too: who asked who is here must hear of every change since.
    fn listening(&self, user: &User) -> impl Iterator<Item = &Line> {
        let seats = user.seats.iter().map(|slot| &self.seats[*slot]);
        let told = |seat: &&Seat| seat.sitter.transport.is_told() && seat.mode != Mode::Joining;
        seats.filter(told).filter(|seat| !seat.sitter.is_over(self.now)).map(|seat| &*seat.line)
    }
}
