//! Bytes that break the WebSocket protocol are answered with their close code, and the connection ends.

use crate::{
    raw::{Raw, TEXT, frame, header},
    server::Server,
};

/// Sends bytes on a fresh socket; how it was closed.
async fn closed_after(bytes: impl AsRef<[u8]>) -> (Option<u16>, Option<u64>) {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    raw.send(bytes).await;
    raw.closed().await
}

#[tokio::test]
async fn a_frame_of_a_mebibyte_is_closed_1009_on_its_header_alone() {
    assert_eq!(closed_after(header(TEXT, 1 << 20)).await, (Some(1009), Some(1009)));
    assert_eq!(closed_after(header(TEXT, 131_073)).await, (Some(1009), Some(1009)));
    assert_eq!(closed_after(header(TEXT, 1 << 40)).await, (Some(1009), Some(1009)));
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
    assert_eq!(closed_after(frame(0x82, b"x")).await, (Some(1003), Some(1003)));
    assert_eq!(closed_after(frame(0x02, b"x")).await, (Some(1003), Some(1003)));
    assert_eq!(closed_after(frame(0x82, b"")).await, (Some(1003), Some(1003)));
}

#[tokio::test]
async fn text_that_is_not_utf8_is_closed_1007() {
    for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"{\"type\":\"ping\"}\xfe"] {
        assert_eq!(closed_after(frame(TEXT, bytes)).await, (Some(1007), Some(1007)), "{bytes:?}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_over_fragments_is_closed_1007() {
    let bytes = [frame(0x01, b"{\"type\":\"ping"), frame(0x00, b"\xc3"), frame(0x80, b"\"}")].concat();
    assert_eq!(closed_after(bytes).await, (Some(1007), Some(1007)));
}

#[tokio::test]
async fn fragments_are_put_together_even_when_a_character_is_cut() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let text = "{\"type\":\"ping\",\"id\":\"\u{1f600}\"}".as_bytes();
    let cut = text.len() - 4;
    let ping = frame(0x89, b"between");
    raw.send([frame(0x01, &text[..cut]), ping, frame(0x00, &text[cut..cut + 1]), frame(0x80, &text[cut + 1..])].concat())
        .await;
    let pong = raw.frame().await.expect("a pong");
    assert_eq!(pong, (0x8a, b"between".to_vec()), "a control frame may come between fragments");
    assert_eq!(raw.json().await["id"], "\u{1f600}");
}

#[tokio::test]
async fn fragments_without_end_are_closed_1009() {
    let mut many = frame(0x01, b"x");
    (0..64).for_each(|_| many.extend(frame(0x00, b"x")));
    assert_eq!(closed_after(many).await, (Some(1009), Some(1009)), "65 fragments");
    let empty: Vec<u8> = [frame(0x01, b"")].into_iter().chain((0..64).map(|_| frame(0x00, b""))).flatten().collect();
    assert_eq!(closed_after(empty).await, (Some(1009), Some(1009)), "65 empty fragments");
    let large = vec![b' '; 65_536];
    let sum = [frame(0x01, &large), frame(0x00, &large), header(0x00, 1)].concat();
    assert_eq!(closed_after(sum).await, (Some(1009), Some(1009)), "a byte over 128 KiB in all");
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
    for (what, bytes) in [
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
    ] {
        assert_eq!(closed_after(bytes).await, (Some(1002), Some(1002)), "{what}");
    }
}

#[tokio::test]
async fn a_close_frame_that_is_wrong_is_closed_1002() {
    for (what, payload) in [
        ("one byte", &b"\x03"[..]),
        ("a code that nobody may send", &1005u16.to_be_bytes()),
        ("a code below 1000", &999u16.to_be_bytes()),
        ("a reason that is not UTF-8", b"\x03\xe8\xff"),
    ] {
        let (code, _) = closed_after(frame(0x88, payload)).await;
        assert!(matches!(code, Some(1002 | 1007)), "{what}: {code:?}");
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
