//! Messages in fragments, and control frames between them.

use crate::{
    case::{Case, run},
    wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, in_fragments, noise, whole},
};

#[test]
fn a_message_in_fragments_of_every_size_is_one_message() {
    let text = "Hello-µ@ßöäüàá-UTF-8!! \u{1f600}".repeat(20);
    let data = noise(500);
    run((1..40).chain([100, 499, 500, 501]).flat_map(|size| {
        let of_text = Case::of(format!("text, {size}"), in_fragments(TEXT, &text, size)).text(&text);
        [of_text, Case::of(format!("binary, {size}"), in_fragments(BINARY, &data, size)).binary(&data)]
    }));
}

#[test]
fn empty_fragments_are_fragments() {
    let (first, middle, last) = (frame(TEXT, b""), frame(CONTINUATION, b""), frame(FIN | CONTINUATION, b""));
    run([
        Case::of("all", [first.clone(), middle.clone(), last.clone()]).text(""),
        Case::of("but one", [first.clone(), frame(CONTINUATION, "middle"), last.clone()]).text("middle"),
        Case::of("the first", [first.clone(), frame(FIN | CONTINUATION, "last")]).text("last"),
        Case::of("the last", [frame(TEXT, "first"), last.clone()]).text("first"),
        Case::of("binary", [frame(BINARY, b""), middle.clone(), last.clone()]).binary(b""),
        Case::of("a thousand", std::iter::once(first).chain(std::iter::repeat_n(middle, 1_000)).chain([last])).text(""),
    ]);
}

#[test]
fn a_control_frame_in_fragments_is_closed_1002() {
    run([PING, PONG, CLOSE].into_iter().flat_map(|opcode| {
        let two = [frame(opcode, "frag"), frame(FIN | CONTINUATION, "ment")];
        let inside = [frame(TEXT, "text"), frame(opcode, b""), frame(FIN | CONTINUATION, "text")];
        [
            Case::of(format!("{opcode:#x}"), two).closed(1002),
            Case::of(format!("{opcode:#x}, inside a message"), inside).closed(1002),
        ]
    }));
}

#[test]
fn control_frames_between_fragments_are_answered_before_the_message() {
    for (opcode, name) in [(TEXT, "text"), (BINARY, "binary")] {
        let [one, two, three] = [frame(opcode, "1"), frame(CONTINUATION, "2"), frame(FIN | CONTINUATION, "3")];
        let echoed = |case: Case| if opcode == TEXT { case.text("123") } else { case.binary("123") };
        let ping = |number: u8| whole(PING, [number]);
        let with_one = [one.clone(), ping(1), two.clone(), three.clone()];
        let with_two = [one.clone(), ping(1), two.clone(), ping(2), three.clone()];
        let with_three = [one.clone(), ping(1), ping(2), ping(3), two.clone(), three.clone()];
        let with_pongs = [one, whole(PONG, "x"), two, whole(PONG, "y"), three];
        run([
            echoed(Case::of(format!("{name}, a ping"), with_one).pong([1])),
            echoed(Case::of(format!("{name}, two pings"), with_two).pong([1]).pong([2])),
            echoed(Case::of(format!("{name}, three pings at once"), with_three).pong([1]).pong([2]).pong([3])),
            echoed(Case::of(format!("{name}, pongs"), with_pongs)),
        ]);
    }
}

#[test]
fn a_close_frame_between_fragments_is_answered_and_the_message_is_never() {
    run([
        Case::of("with a code", [frame(TEXT, "begun"), close(1001, b"")]).closed(1001),
        Case::of("and the rest after it", [frame(TEXT, "begun"), close(1000, b""), frame(FIN | CONTINUATION, "over")])
            .closed(1000),
    ]);
}

#[test]
fn a_continuation_of_nothing_is_closed_1002() {
    let (middle, last) = (frame(CONTINUATION, "x"), frame(FIN | CONTINUATION, "x"));
    let after_a_message = [whole(TEXT, "before"), last.clone(), whole(TEXT, "after")];
    let after_fragments = [frame(TEXT, "be"), frame(FIN | CONTINUATION, "fore"), middle.clone(), whole(TEXT, "after")];
    let twice = [frame(TEXT, "be"), frame(FIN | CONTINUATION, "fore"), last.clone()];
    run([
        Case::of("a last one", [last, whole(TEXT, "after")]).closed(1002),
        Case::of("one that is not the last", [middle, whole(TEXT, "after")]).closed(1002),
        Case::of("after a message", after_a_message).text("before").closed(1002),
        Case::of("after one in fragments", after_fragments).text("before").closed(1002),
        Case::of("a last one after the last", twice).text("before").closed(1002),
    ]);
}

#[test]
fn a_message_inside_another_is_closed_1002() {
    let inside = [whole(TEXT, "x"), whole(BINARY, "x"), frame(TEXT, "x"), frame(BINARY, "x"), whole(TEXT, "")];
    run([TEXT, BINARY].into_iter().flat_map(|opcode| {
        inside.clone().map(|second| {
            let send = [frame(opcode, "begun"), second.clone(), frame(FIN | CONTINUATION, "over")];
            Case::of(format!("{:#x} inside {opcode:#x}", second[0]), send).closed(1002)
        })
    }));
}

#[test]
fn messages_of_either_kind_follow_each_other_whole_or_in_fragments() {
    let send = [
        in_fragments(BINARY, b"\xff\xfe", 1),
        in_fragments(TEXT, "\u{1f600}", 1),
        vec![whole(BINARY, b"\xc3"), whole(TEXT, "\u{a9}")],
        in_fragments(BINARY, b"\xc3", 1),
        in_fragments(TEXT, "after", 2),
    ];
    let case = Case::of("six messages", send.concat()).binary(b"\xff\xfe").text("\u{1f600}").binary(b"\xc3");
    run([case.text("\u{a9}").binary(b"\xc3").text("after")]);
}
