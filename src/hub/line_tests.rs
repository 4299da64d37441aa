//! What goes out on a line, and what does not any more.

use std::{io, task::Waker};

use actix_http::ws::{CloseCode, CloseReason};

use super::*;

#[test]
fn nothing_that_nobody_keeps_comes_before_the_first_frame() {
    let line = Line::new(&Limits::default());
    line.send_ephemeral("early".into());
    line.send("first".into());
    line.begin();
    line.send_ephemeral("later".into());
    let cx = Context::from_waker(Waker::noop());
    let next = || match line.poll_out(&cx) {
        Poll::Ready(Out::Text(frame)) => Some(frame.text().to_owned()),
        _ => None,
    };
    assert_eq!([next(), next(), next()], [Some("first".to_owned()), Some("later".to_owned()), None]);
}

/// Writes what a socket takes that takes so many bytes; whether the last words are among what was written so far.
fn write(line: &Line, mut takes: usize, into: &mut Vec<u8>) -> Poll<bool> {
    let written = line.poll_write(|pieces| {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).take(takes).collect();
        takes -= all.len();
        into.extend_from_slice(&all);
        if all.is_empty() { Poll::Pending } else { Poll::Ready(Ok(all.len())) }
    });
    written.map(|last: io::Result<bool>| last.expect("written"))
}

#[test]
fn nothing_follows_the_last_words_and_that_they_were_written_is_not_forgotten() {
    let line = Line::new(&Limits::default());
    line.send("before".into());
    line.finish(Code::Draining.into());
    line.ping();
    line.pong(b"late");
    line.send("late".into());
    line.finish(Code::SlowReader.into());
    let (mut written, whole) = (Vec::new(), Out::bye(Code::Draining.into()));
    let bytes = 8 + whole.wire().len();
    assert_eq!(write(&line, bytes - 1, &mut written), Poll::Pending);
    assert_eq!(write(&line, 1, &mut written), Poll::Ready(true));
    assert_eq!(written.len(), bytes);
    assert!(written.ends_with(whole.wire()));
    // The peer closes too, in answer.
    line.answer_close(None);
    assert_eq!(write(&line, 100, &mut written), Poll::Ready(true));
    assert_eq!(written.len(), bytes, "two close frames");
}

#[test]
fn a_close_frame_is_answered_once_and_before_nothing_else() {
    let reason = || Some(CloseReason { code: CloseCode::Normal, description: None });
    let line = Line::new(&Limits::default());
    line.send("begun".into());
    line.send("dropped".into());
    let mut written = Vec::new();
    assert_eq!(write(&line, 3, &mut written), Poll::Pending);
    line.answer_close(reason());
    line.send("late".into());
    line.finish(Code::Draining.into());
    assert_eq!(write(&line, 1_000, &mut written), Poll::Ready(true));
    assert_eq!(written, [TextFrame::from("begun").wire(), Out::closed(reason()).wire()].concat());
}
