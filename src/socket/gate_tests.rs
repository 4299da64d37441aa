//! The gate, frame by frame and by property.

use proptest::prelude::*;

use super::gate::Gate;
use crate::error::Code;

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

/// A whole frame.
fn full(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(first, payload.len() as u64);
    bytes.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn judged(bytes: &[u8]) -> Result<(), Code> {
    judged_by(Gate::new(131_072, 64), bytes)
}

fn judged_by(mut gate: Gate, bytes: &[u8]) -> Result<(), Code> {
    gate.pass(bytes).map(drop).map_err(|(_, code)| code)
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

#[test]
fn a_close_frame_is_judged_by_what_it_holds() {
    for code in 0..=u16::MAX {
        let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let judgement = if may_be_sent { Ok(()) } else { Err(Code::ProtocolError) };
        assert_eq!(judged(&full(0x88, &code.to_be_bytes())), judgement, "{code}");
    }
    let reason = |reason: &[u8]| [&[3, 232], reason].concat();
    for (payload, judgement) in [
        (Vec::new(), Ok(())),
        (vec![3], Err(Code::ProtocolError)),
        (reason(&[b'x'; 123]), Ok(())),
        (reason(&[b'x'; 124]), Err(Code::ProtocolError)),
        (reason("\u{1f600}".as_bytes()), Ok(())),
        (reason(b"\xff"), Err(Code::NotUtf8)),
        (reason(b"\xf0\x9f\x98"), Err(Code::NotUtf8)),
    ] {
        assert_eq!(judged(&full(0x88, &payload)), judgement, "{payload:x?}");
    }
}

#[test]
fn nothing_of_a_wrong_close_frame_is_passed_on_and_nothing_after_a_right_one_is_judged() {
    let before = full(0x81, b"before");
    let mut gate = Gate::new(1_000, 64);
    let bytes = [before.clone(), full(0x88, &999u16.to_be_bytes())].concat();
    assert_eq!(gate.pass(&bytes), Err((before.len(), Code::ProtocolError)));
    let mut gate = Gate::new(1_000, 64);
    let bytes = [before, full(0x88, b""), b"GET / HTTP/1.1".to_vec()].concat();
    assert_eq!(gate.pass(&bytes), Ok(2));
    assert_eq!(gate.pass(b"GET / HTTP/1.1"), Ok(0));
}

#[test]
fn text_is_refused_with_the_byte_that_makes_it_none() {
    let bytes = [full(0x01, b"\xce\xba\xe1"), full(0x89, b"\xff"), full(0x00, b"\xbd\xb9\xed\x9f"), full(0x80, b"\xed")];
    let (last, before) = bytes.split_last().expect("frames");
    let mut gate = Gate::new(1_000, 64);
    assert_eq!(gate.pass(&before.concat()), Ok(3));
    assert_eq!(gate.pass(last), Err((0, Code::NotUtf8)));
    // In the middle of a frame, and at the end of a message that is cut off inside a character.
    let whole = full(0x81, b"\xff and a long rest");
    assert_eq!(judged(&whole[..6]), Ok(()));
    assert_eq!(judged(&whole[..7]), Err(Code::NotUtf8));
    assert_eq!(judged(&[full(0x01, b"\xc3"), full(0x80, b"")].concat()), Err(Code::NotUtf8));
}

#[test]
fn binary_messages_pass_where_they_are_taken_whatever_they_hold() {
    let taking = || Gate::new(1_000, 3).and_binary();
    let fragments = [full(0x02, b"\xff"), full(0x8a, b"\xff"), full(0x00, b"\xc3"), full(0x80, b"\xc3")].concat();
    assert_eq!(judged_by(taking(), &full(0x82, b"\xff")), Ok(()));
    assert_eq!(judged_by(taking(), &fragments), Ok(()));
    assert_eq!(judged_by(taking(), &[fragments, full(0x81, b"\xc3")].concat()), Err(Code::NotUtf8));
    assert_eq!(judged_by(taking(), &frame(0x82, 1_001)), Err(Code::FrameTooBig));
    assert_eq!(judged_by(taking(), &[full(0x02, b""), full(0x82, b"")].concat()), Err(Code::ProtocolError));
    assert_eq!(judged(&full(0x82, b"")), Err(Code::BinaryFrame));
}

/// Frames as clients send them, of which some are wrong.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![0x81, 0x01, 0x00, 0x80, 0x82, 0x02, 0x88, 0x89, 0x8a, 0x83]);
    let payload = prop_oneof![
        4 => "\\PC{0,70}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..130),
        1 => (990..1020u16, "\\PC{0,9}").prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
    ];
    prop::collection::vec((first, payload).prop_map(|(first, payload)| full(first, &payload)), 0..6)
        .prop_map(|frames| frames.concat())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), frames()]
}

proptest! {
    #[test]
    fn a_text_in_fragments_is_taken_if_and_only_if_all_its_bytes_are_text(
        text in "\\PC{1,20}", wrong: Option<(prop::sample::Index, u8)>, size in 1..9usize,
    ) {
        let mut bytes = text.into_bytes();
        if let Some((index, byte)) = wrong {
            *index.get_mut(&mut bytes) = byte;
        }
        let mut fragments: Vec<_> = bytes.chunks(size).map(|part| full(0x00, part)).collect();
        fragments[0][0] |= 0x01;
        fragments.push(full(0x80, b""));
        let judgement = judged_by(Gate::new(1_000, 100), &fragments.join(&full(0x89, b"\xff")[..]));
        prop_assert_eq!(judgement.is_ok(), std::str::from_utf8(&bytes).is_ok());
    }

    #[test]
    fn how_the_bytes_are_cut_changes_nothing(bytes in bytes(), binary: bool, cuts in prop::collection::vec(1..20usize, 0..40)) {
        let gate = || if binary { Gate::new(300, 3).and_binary() } else { Gate::new(300, 3) };
        let whole = gate().pass(&bytes);
        let mut gate = gate();
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

#[test]
fn a_message_is_unfinished_from_its_first_byte_to_its_last_and_each_has_a_number_of_its_own() {
    let (text, ping) = (full(0x81, b"whole"), full(0x89, b""));
    let fragments = [full(0x01, b"a"), ping.clone(), full(0x00, b"b"), full(0x80, b"c")].concat();
    let messages = [text, ping, fragments];
    let mut gate = Gate::new(131_072, 64);
    assert_eq!(gate.unfinished(), None);
    for (number, message) in messages.iter().enumerate() {
        for (at, byte) in message.iter().enumerate() {
            gate.pass(&[*byte]).expect("nothing is wrong");
            let unfinished = (at + 1 < message.len()).then_some(number as u64 + 1);
            assert_eq!(gate.unfinished(), unfinished, "byte {at} of message {number}");
        }
    }
    // One whole and the beginning of the next in the same piece.
    gate.pass(&full(0x81, b"whole")[..8]).expect("nothing is wrong");
    gate.pass(&[&full(0x81, b"whole")[8..], &full(0x81, b"whole")[..8]].concat()).expect("nothing is wrong");
    assert_eq!((gate.unfinished(), gate.unfinished_bytes()), (Some(5), 2));
}
