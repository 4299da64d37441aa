//! The outbox: frames waiting for one connection, bounded in bytes and in number. A pure queue.
//! A full outbox is the one definition of a slow reader.

use std::{collections::VecDeque, io::IoSlice};

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};

use super::closing::Closing;
use crate::{
    domain::Position,
    wire::{TextFrame, frame::Reply, text},
};

/// What a transport puts on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Out {
    /// A text frame.
    Text(TextFrame),
    /// A text frame at a place in the log: who has it has everything of theirs up to there.
    Event { frame: TextFrame, position: Position, mark: u32 },
    /// A binary frame.
    Binary(Bytes),
    /// A protocol ping.
    Ping,
    /// The answer to a ping of the client: the frame.
    Pong(Bytes),
    /// The last words, and the end; nothing follows.
    Bye { closing: Closing, frames: Bytes },
    /// The end without words.
    Close { closing: Closing, frame: Bytes },
    /// The client has closed: the frame that answers it, and the end.
    Closed(Bytes),
}

/// A ping without data.
const PING: &[u8] = &[0x89, 0];

/// What a close frame says of a reason.
pub fn reason(closing: Closing) -> CloseReason {
    let bye = closing.bye();
    CloseReason { code: CloseCode::from(bye.code), description: Some(bye.reason.to_owned()) }
}

impl Out {
    /// The last words for a reason: a text frame and a close frame.
    pub fn bye(closing: Closing) -> Out {
        let mut frames = BytesMut::from(Reply::Bye(closing.bye()).frame().wire());
        Parser::write_close(&mut frames, Some(reason(closing)), false);
        Out::Bye { closing, frames: frames.freeze() }
    }

    /// A close frame with a reason.
    pub fn close(closing: Closing) -> Out {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, Some(reason(closing)), false);
        Out::Close { closing, frame: frame.freeze() }
    }

    /// The answer to a close frame: its own reason.
    pub fn closed(reason: Option<CloseReason>) -> Out {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, reason, false);
        Out::Closed(frame.freeze())
    }

    /// The answer to a ping.
    pub fn pong(data: &[u8]) -> Out {
        Out::Pong(text::frame(OpCode::Pong, data))
    }

    /// A binary message.
    pub fn binary(data: &[u8]) -> Out {
        Out::Binary(text::frame(OpCode::Binary, data))
    }

    /// The bytes of its frames.
    pub fn wire(&self) -> &[u8] {
        match self {
            Out::Text(frame) | Out::Event { frame, .. } => frame.wire(),
            Out::Ping => PING,
            Out::Binary(frame)
            | Out::Pong(frame)
            | Out::Closed(frame)
            | Out::Close { frame, .. }
            | Out::Bye { frames: frame, .. } => frame,
        }
    }

    /// The frame of text that it is.
    pub fn text(self) -> Option<TextFrame> {
        match self {
            Out::Text(frame) | Out::Event { frame, .. } => Some(frame),
            _ => None,
        }
    }

    /// What a frame of one of them carries.
    pub fn payload(frame: &Bytes) -> Bytes {
        frame.slice(text::header(frame)..)
    }

    /// Whether nothing may follow it.
    pub fn is_last(&self) -> bool {
        matches!(self, Out::Bye { .. } | Out::Close { .. } | Out::Closed(_))
    }

    fn bytes(&self) -> usize {
        self.wire().len()
    }

    /// Bytes that exist for this connection alone.
    fn own_bytes(&self) -> usize {
        match self {
            Out::Text(frame) | Out::Event { frame, .. } if frame.is_shared() => 0,
            _ => self.bytes(),
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
    /// Bytes of the first that have been written.
    begun: usize,
    bytes: usize,
    /// The part of `bytes` that exists for this connection alone.
    own_bytes: usize,
    bytes_max: usize,
    frames_max: usize,
}

impl Outbox {
    /// An empty one with its limits.
    pub fn new(bytes_max: u64, frames_max: u64) -> Outbox {
        let size = |max| usize::try_from(max).unwrap_or(usize::MAX);
        let (bytes_max, frames_max) = (size(bytes_max), size(frames_max));
        Outbox { frames: VecDeque::new(), begun: 0, bytes: 0, own_bytes: 0, bytes_max, frames_max }
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
        self.force(out);
        Ok(())
    }

    /// Queues a frame whether there is room or not: the last one, or one of a page that was read because there was room.
    pub fn force(&mut self, out: Out) {
        self.bytes += out.bytes();
        self.own_bytes += out.own_bytes();
        self.frames.push_back(out);
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
    pub fn push_pong(&mut self, data: &[u8]) {
        let begun = usize::from(self.begun > 0);
        let mut waiting =
            self.frames.iter().enumerate().skip(begun).filter(|(_, out)| matches!(out, Out::Pong(_))).map(|(at, _)| at);
        let oldest = waiting.next();
        if waiting.count() + 1 >= PONGS_MAX
            && let Some(old) = oldest.and_then(|index| self.frames.remove(index))
        {
            self.bytes -= old.bytes();
            self.own_bytes -= old.own_bytes();
        }
        self.force(Out::pong(data));
    }

    /// Takes the oldest frame.
    pub fn pop(&mut self) -> Option<Out> {
        let out = self.frames.pop_front()?;
        self.begun = 0;
        self.bytes -= out.bytes();
        self.own_bytes -= out.own_bytes();
        Some(out)
    }

    /// What to write next, oldest first, as many pieces as fit; how many that is.
    pub fn slices<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (piece, out) in pieces.iter_mut().zip(&self.frames) {
            let begun = if count == 0 { self.begun } else { 0 };
            *piece = IoSlice::new(&out.wire()[begun..]);
            count += 1;
        }
        count
    }

    /// So many bytes of what [`Outbox::slices`] gave were written. Each frame that is whole on its way is told.
    pub fn wrote(&mut self, mut bytes: usize, mut whole: impl FnMut(&Out)) {
        while let Some(first) = self.frames.front() {
            let left = first.bytes() - self.begun;
            if bytes < left {
                self.begun += bytes;
                return;
            }
            bytes -= left;
            whole(first);
            self.pop();
        }
    }

    /// Drops everything that waits, so that the last words always fit; but a frame that is partly written is finished.
    pub fn clear(&mut self) {
        let begun = if self.begun > 0 { self.frames.pop_front() } else { None };
        // A new queue: the room of the old one counts as memory.
        self.frames = begun.into_iter().collect();
        self.bytes = self.frames.iter().map(Out::bytes).sum();
        self.own_bytes = self.frames.iter().map(Out::own_bytes).sum();
    }

    /// Whether there is room for another page of a catch-up.
    pub fn has_room(&self) -> bool {
        self.bytes <= self.bytes_max / 4 && self.frames.len() <= self.frames_max / 4
    }

    /// Whether what waits ends with a last frame.
    pub fn ends(&self) -> bool {
        self.frames.back().is_some_and(Out::is_last)
    }

    /// Gives back the room that nothing needs.
    pub fn settle(&mut self) {
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory that this outbox alone takes: its queue, and the frames that no other connection shares.
    pub fn memory(&self) -> usize {
        self.own_bytes + self.frames.capacity() * size_of::<Out>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Tally;

    fn text(text: impl AsRef<str>) -> Out {
        Out::Text(text.as_ref().into())
    }

    proptest! {
        #[test]
        fn an_outbox_keeps_order_and_never_grows_over_its_limits(steps in prop::collection::vec(prop_oneof![
            (0..200usize).prop_map(Some), Just(None)], 0..300)) {
            let mut outbox = Outbox::new(1_000, 20);
            let mut model: VecDeque<Out> = VecDeque::new();
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
                let bytes: usize = model.iter().map(Out::bytes).sum();
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
                        _ = outbox.push(Out::Text(if number % 2 == 0 { frame.shared(&tally) } else { frame }));
                    }
                    1 => {
                        let mut pieces = [IoSlice::new(&[]); 3];
                        let count = outbox.slices(&mut pieces);
                        let all: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
                        let bytes = size.min(all.len());
                        written.extend_from_slice(&all[..bytes]);
                        outbox.wrote(bytes, |out| told.extend_from_slice(out.wire()));
                    }
                    2 => outbox.push_pong(&vec![1; size]),
                    _ => outbox.clear(),
                }
                prop_assert_eq!(outbox.bytes(), outbox.frames.iter().map(Out::bytes).sum::<usize>());
                prop_assert_eq!(outbox.own_bytes, outbox.frames.iter().map(Out::own_bytes).sum::<usize>());
                // What was told as written whole is a beginning of what was written, and at most one frame is begun.
                prop_assert_eq!(&written[..told.len()], &told[..]);
                prop_assert_eq!(written.len() - told.len(), outbox.begun);
                let rest = outbox.frames.front().map_or(&[][..], |first| &first.wire()[..outbox.begun]);
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
            outbox.wrote(begun, |_| unreachable!("it is not whole"));
            outbox.clear();
            assert_eq!(outbox.frames.len(), begun);
            assert!(outbox.memory() < 10 * size_of::<Out>(), "{}", outbox.memory());
        }
    }

    #[test]
    fn of_many_pings_only_the_last_sixteen_are_answered_and_one_that_is_begun() {
        let mut outbox = Outbox::new(100, 10);
        for number in 0..50u8 {
            outbox.push_pong(&[number]);
        }
        outbox.wrote(1, |_| unreachable!("it is not whole"));
        for number in 50..100u8 {
            outbox.push_pong(&[number]);
        }
        assert_eq!(outbox.pop(), Some(Out::pong(&[34])));
        for number in 84..100u8 {
            assert_eq!(outbox.pop(), Some(Out::pong(&[number])));
        }
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }
}
