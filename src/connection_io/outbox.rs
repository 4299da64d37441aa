//! Outbox: outbound frames that wait for one connection, bounded in bytes and in frames. A pure queue.
//!
//! Invariant: a connection whose outbox is full is a slow reader. The other way to be one is a stall, see
//! `outlet/registry/progress.rs`.

use std::{collections::VecDeque, io::IoSlice};

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};

use super::closing::Closing;
use crate::{
    domain::Position,
    wire::{TextFrame, frame::Reply, text},
};

/// An outbound frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Outbound {
    /// A text frame.
    Text(TextFrame),
    /// A text frame with its position in the log: a client that has it has received everything up to there.
    Event { frame: TextFrame, position: Position, mark: u32 },
    /// A binary frame.
    Binary(Bytes),
    /// A ping frame.
    Ping,
    /// A pong frame.
    Pong(Bytes),
    /// A `bye` frame and a close frame. Nothing follows.
    Bye { closing: Closing, frames: Bytes },
    /// A close frame without `bye`. Nothing follows.
    Close { closing: Closing, frame: Bytes },
    /// The answer to the peer's close frame. Nothing follows.
    CloseAnswer(Bytes),
}

/// A ping frame without data.
const PING: &[u8] = &[0x89, 0];

/// Code and description of a close frame.
pub fn close_reason(closing: Closing) -> CloseReason {
    let bye = closing.bye();
    CloseReason { code: CloseCode::from(bye.code), description: Some(bye.reason.to_owned()) }
}

impl Outbound {
    /// A `bye` frame followed by a close frame.
    pub fn bye(closing: Closing) -> Outbound {
        let mut frames = BytesMut::from(Reply::Bye(closing.bye()).frame().wire());
        Parser::write_close(&mut frames, Some(close_reason(closing)), false);
        Outbound::Bye { closing, frames: frames.freeze() }
    }

    /// A close frame.
    pub fn close(closing: Closing) -> Outbound {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, Some(close_reason(closing)), false);
        Outbound::Close { closing, frame: frame.freeze() }
    }

    /// The answer to a close frame, with its reason.
    pub fn close_answer(reason: Option<CloseReason>) -> Outbound {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, reason, false);
        Outbound::CloseAnswer(frame.freeze())
    }

    /// A pong frame with the data of the ping.
    pub fn pong(data: &[u8]) -> Outbound {
        Outbound::Pong(text::frame(OpCode::Pong, data))
    }

    /// A binary frame.
    pub fn binary(data: &[u8]) -> Outbound {
        Outbound::Binary(text::frame(OpCode::Binary, data))
    }

    /// The encoded frames.
    pub fn wire(&self) -> &[u8] {
        match self {
            Outbound::Text(frame) | Outbound::Event { frame, .. } => frame.wire(),
            Outbound::Ping => PING,
            Outbound::Binary(frame)
            | Outbound::Pong(frame)
            | Outbound::CloseAnswer(frame)
            | Outbound::Close { frame, .. }
            | Outbound::Bye { frames: frame, .. } => frame,
        }
    }

    /// The text frame, if it is one.
    pub fn text(self) -> Option<TextFrame> {
        match self {
            Outbound::Text(frame) | Outbound::Event { frame, .. } => Some(frame),
            _ => None,
        }
    }

    /// The payload of an encoded frame.
    pub fn payload(frame: &Bytes) -> Bytes {
        frame.slice(text::header(frame)..)
    }

    /// Whether it is the last frame of a connection.
    pub fn is_last(&self) -> bool {
        matches!(self, Outbound::Bye { .. } | Outbound::Close { .. } | Outbound::CloseAnswer(_))
    }

    fn bytes(&self) -> usize {
        self.wire().len()
    }

    /// Bytes that no other connection shares.
    fn own_bytes(&self) -> usize {
        match self {
            Outbound::Text(frame) | Outbound::Event { frame, .. } if frame.is_shared() => 0,
            _ => self.bytes(),
        }
    }
}

/// Pongs in an outbox, of at most 125 bytes each.
const PONGS_MAX: usize = 16;

/// The outbox has no room for the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxFull;

/// A bounded first-in-first-out queue of frames.
#[derive(Debug)]
pub struct Outbox {
    frames: VecDeque<Outbound>,
    /// Bytes of the first frame that have been written.
    written: usize,
    bytes: usize,
    /// The part of `bytes` that no other connection shares.
    own_bytes: usize,
    bytes_max: usize,
    frames_max: usize,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(bytes_max: u64, frames_max: u64) -> Outbox {
        let size = |max| usize::try_from(max).unwrap_or(usize::MAX);
        let (bytes_max, frames_max) = (size(bytes_max), size(frames_max));
        Outbox { frames: VecDeque::new(), written: 0, bytes: 0, own_bytes: 0, bytes_max, frames_max }
    }

    /// Queues a frame. An empty outbox accepts any frame, because frames have a size limit of their own.
    ///
    /// # Errors
    /// [`OutboxFull`]; the frame is not queued.
    pub fn push(&mut self, out: Outbound) -> Result<(), OutboxFull> {
        let bytes = out.bytes();
        if !self.frames.is_empty() && (self.bytes + bytes > self.bytes_max || self.frames.len() >= self.frames_max) {
            return Err(OutboxFull);
        }
        self.force(out);
        Ok(())
    }

    /// Queues a frame regardless of the limits: the last frame, or a frame of a page that was read because there was room.
    pub fn force(&mut self, out: Outbound) {
        self.bytes += out.bytes();
        self.own_bytes += out.own_bytes();
        self.frames.push_back(out);
    }

    /// Queues an ephemeral frame, if the outbox is less than half full.
    ///
    /// # Errors
    /// [`OutboxFull`]; the frame is not queued.
    pub fn push_ephemeral(&mut self, out: Outbound) -> Result<(), OutboxFull> {
        if self.bytes + out.bytes() > self.bytes_max / 2 || self.frames.len() >= self.frames_max / 2 {
            return Err(OutboxFull);
        }
        self.push(out)
    }

    /// Queues a pong. It replaces the oldest of 16 queued pongs: only the most recent ping needs an answer (RFC 6455
    /// section 5.5.3).
    pub fn push_pong(&mut self, data: &[u8]) {
        let begun = usize::from(self.written > 0);
        let mut waiting =
            self.frames.iter().enumerate().skip(begun).filter(|(_, out)| matches!(out, Outbound::Pong(_))).map(|(at, _)| at);
        let oldest = waiting.next();
        if waiting.count() + 1 >= PONGS_MAX
            && let Some(old) = oldest.and_then(|index| self.frames.remove(index))
        {
            self.bytes -= old.bytes();
            self.own_bytes -= old.own_bytes();
        }
        self.force(Outbound::pong(data));
    }

    /// Removes and returns the oldest frame.
    pub fn pop(&mut self) -> Option<Outbound> {
        let out = self.frames.pop_front()?;
        self.written = 0;
        self.bytes -= out.bytes();
        self.own_bytes -= out.own_bytes();
        Some(out)
    }

    /// Fills `pieces` with queued bytes, oldest first, and returns how many it filled.
    pub fn slices<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (piece, out) in pieces.iter_mut().zip(&self.frames) {
            let begun = if count == 0 { self.written } else { 0 };
            *piece = IoSlice::new(&out.wire()[begun..]);
            count += 1;
        }
        count
    }

    /// Removes `bytes` written bytes from the front. Calls `whole` for each frame that is written completely.
    pub fn advance(&mut self, mut bytes: usize, mut whole: impl FnMut(&Outbound)) {
        while let Some(first) = self.frames.front() {
            let left = first.bytes() - self.written;
            if bytes < left {
                self.written += bytes;
                return;
            }
            bytes -= left;
            whole(first);
            self.pop();
        }
    }

    /// Drops every queued frame, except one that is partly written: a frame must not end in the middle.
    pub fn clear(&mut self) {
        let begun = if self.written > 0 { self.frames.pop_front() } else { None };
        // A new queue: the capacity of the old one counts as memory.
        self.frames = begun.into_iter().collect();
        self.bytes = self.frames.iter().map(Outbound::bytes).sum();
        self.own_bytes = self.frames.iter().map(Outbound::own_bytes).sum();
    }

    /// Whether there is room for another catch-up page.
    pub fn has_page_room(&self) -> bool {
        self.bytes <= self.bytes_max / 4 && self.frames.len() <= self.frames_max / 4
    }

    /// Whether the last queued frame is the last of the connection.
    pub fn ends(&self) -> bool {
        self.frames.back().is_some_and(Outbound::is_last)
    }

    /// Frees the capacity of an empty outbox.
    pub fn shrink(&mut self) {
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// Whether no frame is queued.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes queued.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory: the queue, and the frames that no other connection shares.
    pub fn memory_bytes(&self) -> usize {
        self.own_bytes + self.frames.capacity() * size_of::<Outbound>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Tally;

    fn text(text: impl AsRef<str>) -> Outbound {
        Outbound::Text(text.as_ref().into())
    }

    proptest! {
        #[test]
        fn an_outbox_keeps_order_and_never_grows_over_its_limits(steps in prop::collection::vec(prop_oneof![
            (0..200usize).prop_map(Some), Just(None)], 0..300)) {
            let mut outbox = Outbox::new(1_000, 20);
            let mut model: VecDeque<Outbound> = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                if let Some(length) = step {
                    let out = text(format!("{number}{}", "x".repeat(length)));
                    if outbox.push(out.clone()).is_ok() {
                        model.push_back(out);
                    } else {
                        prop_assert!(!model.is_empty());
                    }
                } else {
                    prop_assert_eq!(outbox.pop(), model.pop_front());
                }
                let bytes: usize = model.iter().map(Outbound::bytes).sum();
                prop_assert_eq!(outbox.bytes(), bytes);
                prop_assert!(model.len() <= 20 && (bytes <= 1_000 || model.len() == 1));
            }
        }

        #[test]
        fn however_it_is_written_every_byte_goes_once_and_in_order(
            steps in prop::collection::vec(prop_oneof![
                3 => (0..300usize).prop_map(|length| (0, length)),
                3 => (1..700usize).prop_map(|bytes| (1, bytes)),
                1 => (0..100usize).prop_map(|length| (2, length)),
                1 => Just((3, 0)),
            ], 0..200),
        ) {
            let mut outbox = Outbox::new(1_000, 20);
            let (mut written, mut told, tally) = (Vec::new(), Vec::new(), Tally::default());
            for (number, (step, size)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        let frame = TextFrame::from(format!("{number}{}", "x".repeat(size)).as_str());
                        _ = outbox.push(Outbound::Text(if number % 2 == 0 { frame.shared(&tally) } else { frame }));
                    }
                    1 => {
                        let mut pieces = [IoSlice::new(&[]); 3];
                        let count = outbox.slices(&mut pieces);
                        let all: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
                        let bytes = size.min(all.len());
                        written.extend_from_slice(&all[..bytes]);
                        outbox.advance(bytes, |out| told.extend_from_slice(out.wire()));
                    }
                    2 => outbox.push_pong(&vec![1; size]),
                    _ => outbox.clear(),
                }
                prop_assert_eq!(outbox.bytes(), outbox.frames.iter().map(Outbound::bytes).sum::<usize>());
                prop_assert_eq!(outbox.own_bytes, outbox.frames.iter().map(Outbound::own_bytes).sum::<usize>());
                // The completely written frames are a prefix of the written bytes, and at most one frame is partly written.
                prop_assert_eq!(&written[..told.len()], &told[..]);
                prop_assert_eq!(written.len() - told.len(), outbox.written);
                let rest = outbox.frames.front().map_or(&[][..], |first| &first.wire()[..outbox.written]);
                prop_assert_eq!(&written[told.len()..], rest);
            }
        }

        #[test]
        fn what_nobody_needs_later_finds_no_room_in_the_second_half_and_events_do(
            steps in prop::collection::vec((any::<bool>(), 0..200usize), 0..100),
        ) {
            let mut outbox = Outbox::new(1_000, 20);
            for (ephemeral, length) in steps {
                let (out, bytes, frames) = (text("x".repeat(length)), outbox.bytes(), outbox.frames.len());
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
    fn a_cleared_outbox_gives_the_memory_of_its_queue_back() {
        for begun in [0, 1] {
            let mut outbox = Outbox::new(u64::MAX, u64::MAX);
            (0..1_000).for_each(|_| outbox.force(text("x")));
            outbox.advance(begun, |_| unreachable!("no frame was written completely"));
            outbox.clear();
            assert_eq!(outbox.frames.len(), begun);
            assert!(outbox.memory_bytes() < 10 * size_of::<Outbound>(), "{}", outbox.memory_bytes());
        }
    }

    #[test]
    fn of_many_pings_only_the_last_sixteen_are_answered_and_one_that_is_begun() {
        let mut outbox = Outbox::new(100, 10);
        for number in 0..50u8 {
            outbox.push_pong(&[number]);
        }
        outbox.advance(1, |_| unreachable!("no frame was written completely"));
        for number in 50..100u8 {
            outbox.push_pong(&[number]);
        }
        assert_eq!(outbox.pop(), Some(Outbound::pong(&[34])));
        for number in 84..100u8 {
            assert_eq!(outbox.pop(), Some(Outbound::pong(&[number])));
        }
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }
}
