//! The gate: judges each frame by its header before its payload is kept, and what a text or a close frame holds as it
//! comes. A pure state machine over bytes.
//!
//! The library's codec checks a frame when the whole frame is in memory; with the gate in front of it, a header that
//! says a gigabyte is refused when its few bytes have come, and a text that is none with the first byte that shows it.
//! RFC 6455 sections 5, 7.4 and 8.1.

use super::utf8::Utf8;
use crate::{domain::Limits, error::Code};

/// Longest header: 2 bytes, 8 of extended length, 4 of mask.
const HEADER_MAX: usize = 14;
/// Longest payload of a control frame, in bytes.
const CONTROL_MAX: u8 = 125;
/// Bytes that are unmasked at a time.
const UNMASKED: usize = 256;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xa;

/// Judges a client's bytes.
#[derive(Debug)]
pub struct Gate {
    message_bytes_max: u64,
    fragments_max: u64,
    takes_binary: bool,
    header: [u8; HEADER_MAX],
    have: usize,
    mask: [u8; 4],
    payload_at: usize,
    payload_left: u64,
    message: Option<Message>,
    /// Messages that have begun, control frames between two of them included.
    begun: u64,
    text: Utf8,
    close_code: [u8; 2],
    close_reason: Utf8,
    closed: bool,
}

/// A message that goes on in further fragments.
#[derive(Debug, Clone, Copy)]
struct Message {
    binary: bool,
    fragments: u64,
    bytes: u64,
}

impl Gate {
    /// With the limits of a whole message: bytes over all its fragments, and fragments. Messages are text.
    pub fn new(message_bytes_max: u64, fragments_max: u64) -> Gate {
        Gate {
            message_bytes_max,
            fragments_max,
            takes_binary: false,
            header: [0; HEADER_MAX],
            have: 0,
            mask: [0; 4],
            payload_at: 0,
            payload_left: 0,
            message: None,
            begun: 0,
            text: Utf8::default(),
            close_code: [0; 2],
            close_reason: Utf8::default(),
            closed: false,
        }
    }

    /// Of a connection: what the wire contract takes.
    pub fn of(limits: &Limits) -> Gate {
        Gate::new(limits.frame_bytes, limits.fragments)
    }

    /// The same, with binary messages too, which the wire contract has none of.
    #[must_use]
    pub fn and_binary(self) -> Gate {
        Gate { takes_binary: true, ..self }
    }

    /// The largest message that passes, in bytes.
    pub fn message_bytes_max(&self) -> u64 {
        self.message_bytes_max
    }

    /// The message that has begun and is not whole, by its number; none if all is whole, or after a close frame.
    pub fn unfinished(&self) -> Option<u64> {
        let whole = self.have == 0 && self.payload_left == 0 && self.message.is_none();
        (!whole && !self.closed).then_some(self.begun)
    }

    /// Bytes that have come of the message that is not whole.
    pub fn unfinished_bytes(&self) -> u64 {
        self.message.map_or(0, |message| message.bytes.saturating_sub(self.payload_left))
    }

    /// Walks over the next bytes of the stream; how many frames begin in them. What follows a close frame is not judged:
    /// nobody reads it (RFC 6455 section 5.5.1).
    ///
    /// # Errors
    /// The close code to answer with, and how many of these bytes come before the offending frame.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<u64, (usize, Code)> {
        let (mut at, mut frames) = (0, 0);
        let mut frame_start = 0;
        while at < bytes.len() && !self.closed {
            if self.payload_left > 0 {
                let rest = &bytes[at..];
                let part = rest.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
                self.judge_payload(&rest[..part]).map_err(|code| (frame_start, code))?;
                at += part;
                continue;
            }
            if self.have == 0 {
                frame_start = at;
                self.begun += u64::from(self.message.is_none());
            }
            self.header[self.have] = bytes[at];
            self.have += 1;
            at += 1;
            self.judge_so_far().map_err(|code| (frame_start, code))?;
            if self.have >= 2 && self.have == self.header_length() {
                self.judge().map_err(|code| (frame_start, code))?;
                self.have = 0;
                frames += 1;
            }
        }
        Ok(frames)
    }

    fn header_length(&self) -> usize {
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if self.header[1] & 0x80 == 0 { 0 } else { 4 }
    }

    /// Of the frame under way.
    fn opcode(&self) -> u8 {
        self.header[0] & 0x0f
    }

    fn is_last(&self) -> bool {
        self.header[0] & 0x80 != 0
    }

    /// Whether the payload under way is one of text.
    fn is_text(&self) -> bool {
        self.opcode() < CLOSE && self.message.is_some_and(|message| !message.binary)
    }

    /// Judges as soon as it can be judged: the codec behind the gate never sees the bytes that it would refuse
    /// without taking them, again and again.
    fn judge_so_far(&self) -> Result<(), Code> {
        let [first, second, third, ..] = self.header;
        let (reserved, opcode, short) = (first & 0x70, self.opcode(), second & 0x7f);
        match self.have {
            1 if reserved != 0 => Err(Code::ProtocolError),
            1 => match opcode {
                CONTINUATION if self.message.is_some() => Ok(()),
                TEXT if self.message.is_none() => Ok(()),
                BINARY if self.message.is_none() => {
                    if self.takes_binary {
                        Ok(())
                    } else {
                        Err(Code::BinaryFrame)
                    }
                }
                CLOSE..=PONG if self.is_last() => Ok(()),
                _ => Err(Code::ProtocolError),
            },
            2 if second & 0x80 == 0 || (opcode >= CLOSE && short > CONTROL_MAX) => Err(Code::ProtocolError),
            // A code has two bytes.
            2 if opcode == CLOSE && short == 1 => Err(Code::ProtocolError),
            3 if short == 127 && third & 0x80 != 0 => Err(Code::ProtocolError),
            _ => Ok(()),
        }
    }

    /// Judges the complete header.
    fn judge(&mut self) -> Result<(), Code> {
        let length = self.length()?;
        if self.opcode() < CLOSE {
            self.judge_message(length)?;
        }
        self.mask.copy_from_slice(&self.header[self.have - 4..self.have]);
        (self.payload_at, self.payload_left) = (0, length);
        if length == 0 { self.judge_end() } else { Ok(()) }
    }

    /// The payload's length, which must be written in the shortest form.
    fn length(&self) -> Result<u64, Code> {
        let h = &self.header;
        let (length, least) = match h[1] & 0x7f {
            126 => (u64::from(u16::from_be_bytes([h[2], h[3]])), 126),
            127 => (u64::from_be_bytes([h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9]]), 1 << 16),
            short => (u64::from(short), 0),
        };
        if length < least { Err(Code::ProtocolError) } else { Ok(length) }
    }

    fn judge_message(&mut self, length: u64) -> Result<(), Code> {
        let begun = self.message.unwrap_or(Message { binary: self.opcode() == BINARY, fragments: 0, bytes: 0 });
        let (fragments, bytes) = (begun.fragments + 1, begun.bytes.saturating_add(length));
        if bytes > self.message_bytes_max || fragments > self.fragments_max {
            return Err(Code::FrameTooBig);
        }
        // Kept until the end of its last frame, too: it says what the payload is.
        self.message = Some(Message { fragments, bytes, ..begun });
        Ok(())
    }

    /// Judges the next bytes of the payload.
    fn judge_payload(&mut self, masked: &[u8]) -> Result<(), Code> {
        if self.opcode() == CLOSE || self.is_text() {
            let mut plain = [0; UNMASKED];
            let mut mask = self.mask;
            mask.rotate_left(self.payload_at % 4);
            for masked in masked.chunks(UNMASKED) {
                let each = plain.iter_mut().zip(masked).enumerate();
                each.for_each(|(at, (plain, byte))| *plain = byte ^ mask[at % 4]);
                self.judge_plain(&plain[..masked.len()])?;
                self.payload_at += masked.len();
            }
        }
        self.payload_left -= masked.len() as u64;
        if self.payload_left == 0 { self.judge_end() } else { Ok(()) }
    }

    fn judge_plain(&mut self, plain: &[u8]) -> Result<(), Code> {
        if self.opcode() != CLOSE {
            return self.text.pass(plain);
        }
        let at = self.payload_at.min(2);
        let (code, reason) = plain.split_at(plain.len().min(2 - at));
        self.close_code[at..at + code.len()].copy_from_slice(code);
        if at + code.len() == 2 && !may_be_sent(u16::from_be_bytes(self.close_code)) {
            return Err(Code::ProtocolError);
        }
        self.close_reason.pass(reason)
    }

    /// Judges a frame that is complete.
    fn judge_end(&mut self) -> Result<(), Code> {
        match self.opcode() {
            CLOSE => {
                self.closed = true;
                self.close_reason.end()
            }
            CONTINUATION..=BINARY if self.is_last() => {
                self.message = None;
                self.text.end()
            }
            _ => Ok(()),
        }
    }
}

/// Whether an endpoint may send this code: registered, or kept free for libraries and applications; not one that only
/// stands for the lack of a code (RFC 6455 section 7.4, IANA's registry of close codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
