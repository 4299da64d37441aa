//! The gate: judges each frame by its header, before its payload is kept. A pure state machine over bytes.
//!
//! The library's codec checks a frame's size when the whole frame is in memory; with the gate in front of it, a
//! header that says a gigabyte is refused when its few bytes have come. RFC 6455 section 5.

use crate::error::Code;

/// Longest header: 2 bytes, 8 of extended length, 4 of mask.
const HEADER_MAX: usize = 14;

/// Judges a client's bytes.
#[derive(Debug)]
pub struct Gate {
    message_bytes_max: u64,
    fragments_max: u64,
    header: [u8; HEADER_MAX],
    have: usize,
    payload_left: u64,
    /// Fragments and bytes of the message under way.
    message: Option<(u64, u64)>,
}

impl Gate {
    /// With the limits of a whole message: bytes over all its fragments, and fragments.
    pub fn new(message_bytes_max: u64, fragments_max: u64) -> Gate {
        Gate { message_bytes_max, fragments_max, header: [0; HEADER_MAX], have: 0, payload_left: 0, message: None }
    }

    /// Walks over the next bytes of the stream; how many frames begin in them.
    ///
    /// # Errors
    /// The close code to answer with, and how many of these bytes come before the offending frame.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<u64, (usize, Code)> {
        let (mut at, mut frames) = (0, 0);
        let mut frame_start = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let skip = self.payload_left.min((bytes.len() - at) as u64);
                self.payload_left -= skip;
                at += usize::try_from(skip).unwrap_or(usize::MAX);
                continue;
            }
            if self.have == 0 {
                frame_start = at;
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

    /// Judges as soon as it can be judged: the codec behind the gate never sees the bytes that it would refuse
    /// without taking them, again and again.
    fn judge_so_far(&self) -> Result<(), Code> {
        let [first, second, third, ..] = self.header;
        let (last, reserved, opcode, short) = (first & 0x80 != 0, first & 0x70, first & 0x0f, second & 0x7f);
        match self.have {
            1 if reserved != 0 => Err(Code::ProtocolError),
            1 => match opcode {
                0x0 | 0x1 if self.message.is_some() == (opcode == 0x0) => Ok(()),
                0x2 if self.message.is_none() => Err(Code::BinaryFrame),
                0x8..=0xa if last => Ok(()),
                _ => Err(Code::ProtocolError),
            },
            2 if second & 0x80 == 0 || (opcode >= 0x8 && short > 125) => Err(Code::ProtocolError),
            3 if short == 127 && third & 0x80 != 0 => Err(Code::ProtocolError),
            _ => Ok(()),
        }
    }

    /// Judges the complete header.
    fn judge(&mut self) -> Result<(), Code> {
        let (first, length) = (self.header[0], self.length()?);
        if first & 0x0f <= 0x1 {
            self.judge_text(first & 0x80 != 0, length)?;
        }
        self.payload_left = length;
        Ok(())
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

    fn judge_text(&mut self, last: bool, length: u64) -> Result<(), Code> {
        let (fragments, bytes) = self.message.unwrap_or_default();
        let (fragments, bytes) = (fragments + 1, bytes.saturating_add(length));
        if bytes > self.message_bytes_max || fragments > self.fragments_max {
            return Err(Code::FrameTooBig);
        }
        self.message = (!last).then_some((fragments, bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, length: u64) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(0x80 | u8::try_from(length).unwrap_or(0)),
            126..65_536 => {
                bytes.push(0xfe);
                bytes.extend_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes
    }

    fn judged(bytes: &[u8]) -> Result<(), Code> {
        Gate::new(131_072, 64).pass(bytes).map(drop).map_err(|(_, code)| code)
    }

    #[test]
    fn a_header_that_says_too_much_is_refused_before_any_payload() {
        assert_eq!(judged(&frame(0x81, 131_072)), Ok(()));
        assert_eq!(judged(&frame(0x81, 131_073)), Err(Code::FrameTooBig));
        assert_eq!(judged(&frame(0x81, 1 << 30)), Err(Code::FrameTooBig));
        assert_eq!(judged(&frame(0x81, u64::MAX >> 1)), Err(Code::FrameTooBig));
        assert_eq!(judged(&frame(0x81, u64::MAX)), Err(Code::ProtocolError));
    }

    #[test]
    fn broken_frames_have_their_close_code() {
        let table: [(&str, Vec<u8>, Code); 12] = [
            ("binary", frame(0x82, 1), Code::BinaryFrame),
            ("binary fragment", frame(0x02, 1), Code::BinaryFrame),
            ("reserved bit 1", frame(0xc1, 1), Code::ProtocolError),
            ("reserved opcode 3", frame(0x83, 1), Code::ProtocolError),
            ("reserved opcode 11", frame(0x8b, 1), Code::ProtocolError),
            ("ping of 126 bytes", frame(0x89, 126), Code::ProtocolError),
            ("ping in fragments", frame(0x09, 1), Code::ProtocolError),
            ("close of 126 bytes", frame(0x88, 126), Code::ProtocolError),
            ("continuation of nothing", frame(0x80, 1), Code::ProtocolError),
            ("unmasked", vec![0x81, 0x01, b'x'], Code::ProtocolError),
            ("length not in the shortest form", vec![0x81, 0xfe, 0, 5, 0, 0, 0, 0], Code::ProtocolError),
            ("a second request", b"GET / HTTP/1.1\r\n".to_vec(), Code::ProtocolError),
        ];
        for (name, bytes, code) in table {
            assert_eq!(judged(&bytes), Err(code), "{name}");
        }
    }

    #[test]
    fn what_the_codec_would_refuse_is_refused_with_the_byte_that_shows_it() {
        for bytes in [&b"\xc1"[..], b"\x83", b"\x09", b"\x80", b"\x81\x01", b"\x81\x7e", b"\x89\xfe", b"\x81\xff\x80"] {
            let mut gate = Gate::new(1_000, 64);
            assert_eq!(gate.pass(&bytes[..bytes.len() - 1]), Ok(0), "{bytes:?}");
            assert_eq!(gate.pass(&bytes[bytes.len() - 1..]), Err((0, Code::ProtocolError)), "{bytes:?}");
        }
    }

    #[test]
    fn fragments_are_limited_in_number_and_in_sum() {
        let mut gate = Gate::new(1_000, 64);
        assert_eq!(gate.pass(&frame(0x01, 0)), Ok(1));
        for _ in 1..64 {
            assert_eq!(gate.pass(&frame(0x00, 0)), Ok(1));
        }
        assert_eq!(gate.pass(&frame(0x00, 0)), Err((0, Code::FrameTooBig)));
        let mut gate = Gate::new(1_000, 64);
        let mut bytes = frame(0x01, 600);
        bytes.extend(std::iter::repeat_n(b'x', 600));
        let before = bytes.len();
        bytes.extend(frame(0x80, 401));
        assert_eq!(gate.pass(&bytes), Err((before, Code::FrameTooBig)));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(1..20usize, 0..40)) {
            let whole = Gate::new(300, 3).pass(&bytes);
            let mut gate = Gate::new(300, 3);
            let (mut at, mut cuts) = (0, cuts.into_iter().cycle());
            let mut in_pieces = Ok(0);
            while at < bytes.len() && in_pieces.is_ok() {
                let end = bytes.len().min(at + cuts.next().unwrap_or(7));
                in_pieces = in_pieces.and_then(|before| Ok(before + gate.pass(&bytes[at..end])?));
                at = end;
            }
            prop_assert_eq!(whole.map_err(|(_, code)| code), in_pieces.map_err(|(_, code)| code));
        }
    }
}
