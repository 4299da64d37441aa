//! Tests of the outbound half: order, the last frame, and ephemeral frames.

use std::{io, task::Waker};

use actix_http::ws::{CloseCode, CloseReason};

use super::*;

#[test]
fn nothing_that_nobody_keeps_comes_before_the_first_frame() {
    let io = ConnectionIo::new(&Limits::default());
    io.send_ephemeral("early".into());
    io.send("first".into());
    io.start_feed();
    io.send_ephemeral("later".into());
    let cx = Context::from_waker(Waker::noop());
    let next = || match io.poll_next(&cx) {
        Poll::Ready(Outbound::Text(frame)) => Some(frame.text().to_owned()),
        _ => None,
    };
    assert_eq!([next(), next(), next()], [Some("first".to_owned()), Some("later".to_owned()), None]);
}

/// Writes at most `takes` bytes; ready with `true` once the last frame was written.
fn write(io: &ConnectionIo, mut takes: usize, into: &mut Vec<u8>) -> Poll<bool> {
    let written = io.poll_write(|pieces| {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).take(takes).collect();
        takes -= all.len();
        into.extend_from_slice(&all);
        if all.is_empty() { Poll::Pending } else { Poll::Ready(Ok(all.len())) }
    });
    written.map(|last: io::Result<bool>| last.expect("written"))
}

#[test]
fn nothing_follows_the_last_words_and_that_they_were_written_is_not_forgotten() {
    let io = ConnectionIo::new(&Limits::default());
    io.send("before".into());
    io.send_bye(Code::Draining.into());
    io.ping();
    io.pong(b"late");
    io.send("late".into());
    io.send_bye(Code::SlowReader.into());
    let (mut written, whole) = (Vec::new(), Outbound::bye(Code::Draining.into()));
    let bytes = 8 + whole.wire().len();
    assert_eq!(write(&io, bytes - 1, &mut written), Poll::Pending);
    assert_eq!(write(&io, 1, &mut written), Poll::Ready(true));
    assert_eq!(written.len(), bytes);
    assert!(written.ends_with(whole.wire()));
    // The peer closes too, in answer.
    io.answer_close(None);
    assert_eq!(write(&io, 100, &mut written), Poll::Ready(true));
    assert_eq!(written.len(), bytes, "two close frames");
}

#[test]
fn a_close_frame_is_answered_once_and_before_nothing_else() {
    let reason = || Some(CloseReason { code: CloseCode::Normal, description: None });
    let io = ConnectionIo::new(&Limits::default());
    io.send("begun".into());
    io.send("dropped".into());
    let mut written = Vec::new();
    assert_eq!(write(&io, 3, &mut written), Poll::Pending);
    io.answer_close(reason());
    io.send("late".into());
    io.send_bye(Code::Draining.into());
    assert_eq!(write(&io, 1_000, &mut written), Poll::Ready(true));
    assert_eq!(written, [TextFrame::from("begun").wire(), Outbound::close_answer(reason()).wire()].concat());
}
