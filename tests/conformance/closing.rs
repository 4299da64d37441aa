//! The closing handshake.

use crate::{
    case::{Case, End, run},
    wire::{CLOSE, CONTINUATION, FIN, PING, TEXT, close, frame, header, whole},
};

/// Codes at the borders of what an endpoint may send, by RFC 6455 section 7.4 and the registry of close codes.
const RIGHT: [u16; 18] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999];
const WRONG: [u16; 16] = [0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 32_768, u16::MAX];

#[test]
fn a_close_is_answered_with_its_code() {
    run(RIGHT.into_iter().flat_map(|code| {
        let reasons = ["", "bye", &"x".repeat(123), "\u{1f600}"].map(str::to_owned);
        reasons.map(|reason| Case::of(format!("{code} {reason:?}"), [close(code, &reason)]).closed(code))
    }));
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    run([Case::of("no code", [whole(CLOSE, b"")]).ends(End::Closed(None))]);
}

#[test]
fn a_close_after_a_message_that_was_echoed_is_answered() {
    let text = |length| "x".repeat(length);
    run([1, 65_536, 1 << 18]
        .map(|length| Case::of(format!("{length} bytes"), [whole(TEXT, text(length))]).text(text(length))));
}

#[test]
fn a_code_that_may_not_be_sent_is_closed_1002() {
    run(WRONG.into_iter().flat_map(|code| {
        ["", "reason"].map(|reason| Case::of(format!("{code} {reason:?}"), [close(code, reason)]).closed(1002))
    }));
}

#[test]
fn half_a_code_is_closed_1002() {
    run([Case::of("one byte", [whole(CLOSE, [3])]).closed(1002)]);
}

#[test]
fn a_close_that_is_too_long_is_closed_1002_on_its_header_alone() {
    run([
        Case::of("a reason of 124 bytes", [close(1000, [b'x'; 124])]).closed(1002),
        Case::of("the header of 126 bytes", [header(FIN | CLOSE, 126)]).closed(1002),
        Case::of("the header of 65,536 bytes", [header(FIN | CLOSE, 65_536)]).closed(1002),
    ]);
}

#[test]
fn a_reason_that_is_not_utf8_is_closed_1007() {
    let wrong: [&[u8]; 6] =
        [b"\xff", b"text\xc3(", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"];
    run(wrong.map(|reason| Case::of(format!("{reason:x?}"), [close(1000, reason)]).closed(1007)));
}

#[test]
fn a_wrong_reason_is_closed_1007_with_the_byte_that_shows_it() {
    let mut begun = close(1000, [b"\xff", &[b'x'; 100][..]].concat());
    begun.truncate(2 + 4 + 2 + 1);
    run([Case::of("the beginning of a reason", [begun]).closed(1007)]);
}

#[test]
fn nothing_after_a_close_is_answered() {
    let after = [
        ("a text", whole(TEXT, "after")),
        ("a ping", whole(PING, "after")),
        ("another close", close(1001, b"")),
        ("a wrong close", close(999, b"")),
        ("a wrong frame", whole(0x3, b"")),
        ("a header of too much", header(FIN | TEXT, 1 << 40)),
        ("text that is none", whole(TEXT, b"\xff")),
        ("no frame", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a lot", whole(TEXT, vec![b'x'; 100_000])),
    ];
    run(after.map(|(what, bytes)| Case::of(what, [close(1000, b""), bytes]).closed(1000)));
}

#[test]
fn nothing_after_a_broken_frame_is_answered() {
    let after = [whole(TEXT, "after"), whole(PING, "after"), close(1000, b""), whole(0x3, b"")];
    run(after.map(|bytes| Case::of(format!("{:#x}", bytes[0]), [whole(TEXT, b"\xff"), bytes]).closed(1007)));
}

#[test]
fn a_ping_before_a_close_is_answered_before_it() {
    run([Case::of("in fragments of a message", [frame(TEXT, "x"), whole(PING, "1"), frame(FIN | CONTINUATION, "y")])
        .pong("1")
        .text("xy")]);
}
