//! Bytes that break the WebSocket protocol are answered with their close code, and the connection ends.

use futures_util::future::join_all;

use crate::{
    raw::{Raw, TEXT, frame, header},
    server::Server,
};

/// Sends each of these bytes on a socket of its own, and expects this close code of all.
async fn closed(code: u16, all: impl IntoIterator<Item = (impl std::fmt::Debug, Vec<u8>)>) {
    let server = Server::shared();
    // All accounts first: making one takes this thread a while, and a connection that asks nothing meanwhile is ended.
    let all: Vec<_> = all.into_iter().map(|(what, bytes)| (what, bytes, server.person())).collect();
    let each = all.into_iter().map(async |(what, bytes, alice)| {
        let mut raw = Raw::socket(server.port, alice.token()).await;
        raw.send(bytes).await;
        assert_eq!(raw.closed().await, (Some(code), Some(u64::from(code))), "{what:?}");
    });
    join_all(each).await;
}

#[tokio::test]
async fn a_frame_of_a_mebibyte_is_closed_1009_on_its_header_alone() {
    closed(1009, [1 << 20, 131_073, 1 << 40].map(|length| (length, header(TEXT, length)))).await;
}

#[tokio::test]
async fn a_frame_of_128_kib_is_read() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let mut text = br#"{"type":"ping"}"#.to_vec();
    text.resize(131_072, b' ');
    raw.send(frame(TEXT, &text)).await;
    assert_eq!(raw.json().await["type"], "pong");
}

#[tokio::test]
async fn a_binary_frame_is_closed_1003() {
    let frames = [("whole", frame(0x82, b"x")), ("in fragments", frame(0x02, b"x")), ("empty", frame(0x82, b""))];
    closed(1003, frames).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_closed_1007() {
    let wrong = [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"{\"type\":\"ping\"}\xfe"];
    closed(1007, wrong.map(|bytes| (bytes, frame(TEXT, bytes)))).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_over_fragments_is_closed_1007() {
    let begun = [frame(0x01, b"{\"type\":\"ping"), frame(0x00, b"\xc3")].concat();
    let all = [
        ("half a character", [&begun[..], &frame(0x80, b"\"}")].concat()),
        ("half a character, and no end of the message", [&begun[..], &frame(0x00, b"\"")].concat()),
        ("half a frame", frame(TEXT, b"\xffxyz")[..8].to_vec()),
    ];
    closed(1007, all).await;
}

#[tokio::test]
async fn fragments_are_put_together_even_when_a_character_is_cut() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let text = "{\"type\":\"ping\",\"id\":\"\u{1f600}\"}".as_bytes();
    let cut = text.len() - 4;
    let control = frame(0x89, b"between");
    raw.send([frame(0x01, &text[..cut]), control, frame(0x00, &text[cut..=cut]), frame(0x80, &text[cut + 1..])].concat())
        .await;
    let answer = raw.frame().await.expect("a pong");
    assert_eq!(answer, (0x8a, b"between".to_vec()), "a control frame may come between fragments");
    assert_eq!(raw.json().await["id"], "\u{1f600}");
}

#[tokio::test]
async fn fragments_without_end_are_closed_1009() {
    let many = |payload: &[u8]| [frame(0x01, payload), frame(0x00, payload).repeat(64)].concat();
    let large = vec![b' '; 65_536];
    let sum = [frame(0x01, &large), frame(0x00, &large), header(0x00, 1)].concat();
    let all = [("65 fragments", many(b"x")), ("65 empty fragments", many(b"")), ("a byte over 128 KiB in all", sum)];
    closed(1009, all).await;
}

#[tokio::test]
async fn sixty_four_fragments_are_read() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let mut bytes = frame(0x01, br#"{"type":"ping"}"#);
    (0..62).for_each(|_| bytes.extend(frame(0x00, b" ")));
    bytes.extend(frame(0x80, b" "));
    raw.send(bytes).await;
    assert_eq!(raw.json().await["type"], "pong");
}

#[tokio::test]
async fn every_other_broken_frame_is_closed_1002() {
    let all = [
        ("reserved bit 1", frame(0xc1, b"{}")),
        ("reserved bit 2", frame(0xa1, b"{}")),
        ("reserved bit 3", frame(0x91, b"{}")),
        ("reserved opcode 3", frame(0x83, b"")),
        ("reserved opcode 11", frame(0x8b, b"")),
        ("unmasked", vec![TEXT, 2, b'{', b'}']),
        ("unmasked and empty", vec![TEXT, 0]),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a message inside another", [frame(0x01, b"x"), frame(0x01, b"x")].concat()),
        ("a ping in fragments", frame(0x09, b"x")),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126])),
        ("a length in too long a form", vec![TEXT, 0xfe, 0, 2, 0, 0, 0, 0, b'{', b'}']),
        ("a length with its highest bit", vec![TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("an HTTP request", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    closed(1002, all).await;
}

#[tokio::test]
async fn a_close_frame_that_is_wrong_is_answered_with_what_is_wrong_with_it() {
    closed(1002, [("one byte", frame(0x88, b"\x03"))]).await;
    closed(1002, [0, 999, 1005, 1006, 1015, 1016, 2999, 5000].map(|code: u16| (code, frame(0x88, &code.to_be_bytes()))))
        .await;
    closed(1007, [("a reason that is not UTF-8", frame(0x88, b"\x03\xe8\xff"))]).await;
}

#[tokio::test]
async fn ten_pings_in_a_row_get_ten_answers() {
    let server = Server::shared();
    let mut raw = Raw::socket(server.port, server.person().token()).await;
    raw.send((0..10u8).flat_map(|number| frame(0x89, &[number])).collect::<Vec<_>>()).await;
    for number in 0..10 {
        assert_eq!(raw.frame().await, Some((0x8a, vec![number])));
    }
}

#[tokio::test]
async fn what_comes_before_a_broken_frame_is_still_answered() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let send = format!(r#"{{"type":"message.send","data":{{"thread_id":"{thread}","content":"before"}}}}"#);
    raw.send([frame(TEXT, send.as_bytes()), frame(0x82, b"x")].concat()).await;
    assert_eq!(raw.closed().await, (Some(1003), Some(1003)));
    // Acknowledged or not: it was a good frame before the bad one, and it is not half there.
    let history = alice.history(&thread).await;
    assert!(history.len() <= 1 && history.iter().all(|message| message["content"] == "before"), "{history:?}");
}
