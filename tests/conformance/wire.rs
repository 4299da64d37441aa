//! Frames as they are on the wire, of every form, right or wrong.

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;
/// Set in the first byte of a message's last frame.
pub const FIN: u8 = 0x80;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame that is its own message, or a control frame.
pub fn whole(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | opcode, payload)
}

/// A frame with its first byte as it is, masked, its length in the shortest form.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    masked(first, payload, MASK)
}

/// The same with this mask.
pub fn masked(first: u8, payload: impl AsRef<[u8]>, mask: [u8; 4]) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = header(first, payload.len() as u64);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header alone.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    match length {
        0..126 => long_header(first, 7, length),
        126..65_536 => long_header(first, 16, length),
        _ => long_header(first, 64, length),
    }
}

/// The header with its length in this many bits.
pub fn long_header(first: u8, bits: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    let eight = length.to_be_bytes();
    match bits {
        7 => bytes.push(0x80 | eight[7]),
        16 => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(&eight[6..]);
        }
        _ => {
            bytes.push(0x80 | 0x7f);
            bytes.extend(eight);
        }
    }
    bytes.extend(MASK);
    bytes
}

/// A message in fragments of this many bytes.
pub fn in_fragments(opcode: u8, payload: impl AsRef<[u8]>, size: usize) -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = payload.as_ref().chunks(size).map(|part| frame(CONTINUATION, part)).collect();
    if frames.is_empty() {
        frames.push(frame(CONTINUATION, b""));
    }
    frames[0][0] |= opcode;
    if let Some(last) = frames.last_mut() {
        last[0] |= FIN;
    }
    frames
}

/// A close frame with a code and a reason.
pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    whole(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// Bytes that look like no pattern.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
