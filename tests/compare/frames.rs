//! As much of RFC 6455 as a load generator needs: frames of a server are counted, frames of a client made. The mask is
//! zero, which the RFC allows and which costs nothing to apply.

/// A text frame.
pub const TEXT: u8 = 1;
/// A ping.
pub const PING: u8 = 9;
const PONG: u8 = 10;
const MASKED: u8 = 0x80;
/// In place of a length: it follows, in two bytes; in eight.
const SHORT: u8 = 0x7e;
const LONG: u8 = 0x7f;
const FINAL: u8 = 0x80;

/// A text frame of a client.
pub fn text(payload: &str) -> Vec<u8> {
    client(TEXT, payload.as_bytes())
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    client(PONG, payload)
}

fn client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(MASKED | length),
        (_, Ok(length)) => {
            frame.push(MASKED | SHORT);
            frame.extend(length.to_be_bytes());
        }
        _ => panic!("a frame of {} bytes: no message here is that long", payload.len()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Each whole frame of a server at the front, by opcode and payload; how many bytes they take.
pub fn each(bytes: &[u8], mut found: impl FnMut(u8, &[u8])) -> usize {
    let mut taken = 0;
    while let Some((opcode, head, length)) = begin(&bytes[taken..]) {
        let Some(payload) = bytes.get(taken + head..taken + head + length) else { break };
        found(opcode, payload);
        taken += head + length;
    }
    taken
}

/// Opcode, bytes of the header, bytes of the payload; nothing while the header is not whole.
fn begin(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let opcode = bytes.first()? & 0x0f;
    match *bytes.get(1)? {
        SHORT => Some((opcode, 4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        LONG => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            Some((opcode, 10, usize::try_from(length).ok()?))
        }
        length => Some((opcode, 2, usize::from(length & LONG))),
    }
}
