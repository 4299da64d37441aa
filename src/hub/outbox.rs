//! The outbox: frames waiting for one connection, bounded in bytes and in number. A pure queue.
//! A full outbox is the one definition of a slow reader.

use std::collections::VecDeque;

use bytes::Bytes;
use bytestring::ByteString;

use super::line::Closing;
use crate::domain::Position;

/// What a transport puts on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Out {
    /// A text frame.
    Text(ByteString),
    /// A text frame at a place in the log: who has it has everything of theirs up to there.
    Event { text: ByteString, position: Position, mark: u32 },
    /// A binary frame.
    Binary(Bytes),
    /// A protocol ping.
    Ping,
    /// The answer to a ping of the client.
    Pong(Bytes),
    /// The last words, and the end; nothing follows.
    Bye(Closing),
    /// The end without words.
    Close(Closing),
}

impl Out {
    /// Bytes on the wire, about: the payload and its frame header.
    pub fn bytes(&self) -> usize {
        match self {
            Out::Text(text) | Out::Event { text, .. } => text.len() + 10,
            Out::Binary(data) => data.len() + 10,
            Out::Ping => 2,
            Out::Pong(data) => data.len() + 2,
            Out::Bye(_) | Out::Close(_) => 128,
        }
    }

    /// The text of a frame.
    pub fn text(self) -> Option<ByteString> {
        match self {
            Out::Text(text) | Out::Event { text, .. } => Some(text),
            Out::Binary(_) | Out::Ping | Out::Pong(_) | Out::Bye(_) | Out::Close(_) => None,
        }
    }
}

/// Pongs that wait, of 125 bytes at most.
const PONGS_MAX: usize = 16;

/// The frame did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A bounded first-in-first-out queue of frames.
#[derive(Debug)]
pub struct Outbox {
    frames: VecDeque<Out>,
    bytes: usize,
    bytes_max: usize,
    frames_max: usize,
}

impl Outbox {
    /// An empty one with its limits.
    pub fn new(bytes_max: u64, frames_max: u64) -> Outbox {
        let size = |max| usize::try_from(max).unwrap_or(usize::MAX);
        Outbox { frames: VecDeque::new(), bytes: 0, bytes_max: size(bytes_max), frames_max: size(frames_max) }
    }

    /// Queues a frame. One frame always fits into an empty outbox, however large: frames have their own limit.
    ///
    /// # Errors
    /// [`Full`]; the frame is not queued.
    pub fn push(&mut self, out: Out) -> Result<(), Full> {
        let bytes = out.bytes();
        if !self.frames.is_empty() && (self.bytes + bytes > self.bytes_max || self.frames.len() >= self.frames_max) {
            return Err(Full);
        }
        self.bytes += bytes;
        self.frames.push_back(out);
        Ok(())
    }

    /// Queues a frame that nobody needs a moment later, if the outbox is not half full.
    ///
    /// # Errors
    /// [`Full`]; the frame is not queued.
    pub fn push_ephemeral(&mut self, out: Out) -> Result<(), Full> {
        if self.bytes + out.bytes() > self.bytes_max / 2 || self.frames.len() >= self.frames_max / 2 {
            return Err(Full);
        }
        self.push(out)
    }

    /// Queues a pong. Where many wait, it takes the place of the oldest: only the last ping needs its answer (RFC 6455
    /// section 5.5.3).
    pub fn push_pong(&mut self, data: Bytes) {
        let mut waiting = self.frames.iter().enumerate().filter(|(_, out)| matches!(out, Out::Pong(_)));
        let oldest = waiting.next().map(|(index, _)| index);
        if waiting.count() + 1 >= PONGS_MAX
            && let Some(old) = oldest.and_then(|index| self.frames.remove(index))
        {
            self.bytes -= old.bytes();
        }
        let out = Out::Pong(data);
        self.bytes += out.bytes();
        self.frames.push_back(out);
    }

    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<Out> {
        let out = self.frames.pop_front()?;
        self.bytes -= out.bytes();
        Some(out)
    }

    /// Drops everything that waits, so that the last words always fit.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Whether there is room for another page of a catch-up.
    pub fn has_room(&self) -> bool {
        self.bytes <= self.bytes_max / 4 && self.frames.len() <= self.frames_max / 4
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_outbox_keeps_order_and_never_grows_over_its_limits(steps in prop::collection::vec(prop_oneof![
            (0..200usize).prop_map(Some), Just(None)], 0..300)) {
            let mut outbox = Outbox::new(1_000, 20);
            let mut model: VecDeque<String> = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                if let Some(length) = step {
                    let text = format!("{number}{}", "x".repeat(length));
                    if outbox.push(Out::Text(text.as_str().into())).is_ok() {
                        model.push_back(text);
                    } else {
                        prop_assert!(!model.is_empty());
                    }
                } else {
                    let expected = model.pop_front().map(|text| Out::Text(text.into()));
                    prop_assert_eq!(outbox.pop(), expected);
                }
                let bytes: usize = model.iter().map(|text| text.len() + 10).sum();
                prop_assert_eq!(outbox.bytes(), bytes);
                prop_assert!(model.len() <= 20 && (bytes <= 1_000 || model.len() == 1));
            }
        }
    }

    proptest! {
        #[test]
        fn what_nobody_needs_later_finds_no_room_in_the_second_half_and_events_do(
            steps in prop::collection::vec((any::<bool>(), 0..200usize), 0..100),
        ) {
            let mut outbox = Outbox::new(1_000, 20);
            for (ephemeral, length) in steps {
                let (out, bytes, frames) = (Out::Text("x".repeat(length).into()), outbox.bytes(), outbox.frames.len());
                let whole = out.bytes();
                if ephemeral {
                    let room = bytes + whole <= 500 && frames < 10;
                    prop_assert_eq!(outbox.push_ephemeral(out).is_ok(), room);
                } else {
                    let room = frames == 0 || (bytes + whole <= 1_000 && frames < 20);
                    prop_assert_eq!(outbox.push(out).is_ok(), room);
                }
            }
        }
    }

    #[test]
    fn of_many_pings_only_the_last_sixteen_are_answered() {
        let mut outbox = Outbox::new(100, 10);
        for number in 0..50u8 {
            outbox.push_pong(Bytes::copy_from_slice(&[number]));
        }
        for number in 34..50u8 {
            assert_eq!(outbox.pop(), Some(Out::Pong(Bytes::copy_from_slice(&[number]))));
        }
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }
}
