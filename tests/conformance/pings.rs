//! Pings and pongs.

use crate::{
    case::{Case, run},
    wire::{FIN, PING, PONG, TEXT, frame, header, noise, whole},
};

#[test]
fn a_ping_of_every_size_is_answered_with_what_it_holds() {
    let sizes = 0..=125;
    let one_by_one = sizes.clone().map(|size| Case::of(format!("{size}"), [whole(PING, noise(size))]).pong(noise(size)));
    let text = "Hello, world!";
    let named = Case::of("text", [whole(PING, text)]).pong(text);
    let zeros = Case::of("zeros", [whole(PING, [0; 125])]).pong([0; 125]);
    run(one_by_one.chain([named, zeros]));
}

#[test]
fn a_ping_or_pong_over_125_bytes_is_closed_1002_on_its_header_alone() {
    let opcodes = [PING, PONG].into_iter();
    let sizes = [126, 65_535, 65_536];
    run(opcodes.flat_map(|opcode| {
        sizes.map(|size| Case::of(format!("{opcode:#x}, {size}"), [header(FIN | opcode, size)]).closed(1002))
    }));
}

#[test]
fn a_pong_that_nobody_asked_for_is_passed_over() {
    let pongs = [whole(PONG, b""), whole(PONG, "unsolicited"), whole(PONG, noise(125))];
    let each = pongs.clone().map(|pong| Case::of("alone", [pong]));
    let before_a_ping = pongs.clone().map(|pong| Case::of("before a ping", [pong, whole(PING, "ping")]).pong("ping"));
    let many = Case::of("many", pongs.into_iter().cycle().take(100).chain([whole(TEXT, "text")])).text("text");
    run(each.into_iter().chain(before_a_ping).chain([many]));
}

#[test]
fn ten_pings_in_a_row_get_ten_pongs_in_their_order() {
    let payloads: Vec<_> = (0..10).map(|number| format!("payload-{number}")).collect();
    let empty = (0..10).fold(Case::of("empty", vec![whole(PING, b""); 10]), |case, _| case.pong(b""));
    let pings = Case::of("each another", payloads.iter().map(|payload| whole(PING, payload)));
    run([payloads.iter().fold(pings, Case::pong), empty]);
}

#[test]
fn pings_between_messages_are_answered_in_their_order() {
    let send = (0..8).flat_map(|number| [whole(TEXT, format!("text {number}")), frame(FIN | PING, [number])]);
    let case = Case::of("eight of each", send);
    let case = (0..8u8).fold(case, |case, number| case.text(format!("text {number}")).pong([number]));
    run([case.pongs_apart()]);
}
