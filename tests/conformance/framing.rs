//! Lengths and masks of single frames.

use crate::{
    case::{Case, End, run},
    wire::{BINARY, CONTINUATION, FIN, PING, TEXT, frame, header, long_header, masked, noise, whole},
};

/// Around every border between two forms of a length, and around what is buffered at a time.
const LENGTHS: [usize; 13] = [0, 1, 4, 5, 125, 126, 127, 128, 4_096, 65_535, 65_536, 65_537, 1 << 20];

#[test]
fn text_of_every_length_is_echoed() {
    run(LENGTHS.map(|length| {
        let text = "*".repeat(length);
        Case::of(format!("{length} bytes"), [whole(TEXT, &text)]).text(text)
    }));
}

#[test]
fn binary_of_every_length_is_echoed() {
    run(LENGTHS.map(|length| {
        let data = noise(length);
        Case::of(format!("{length} bytes"), [whole(BINARY, &data)]).binary(data)
    }));
}

#[test]
fn a_frame_cut_into_packets_anywhere_is_one_frame() {
    let data = noise(65_536);
    let bytes = whole(BINARY, &data);
    run([1, 2, 3, 5, 6, 997, 32_768].map(|size| {
        let (first, rest) = bytes.split_at(14 + size);
        let pieces = [first.chunks(size), rest.chunks(997.max(size))].into_iter().flatten();
        Case::of(format!("pieces of {size}"), pieces.map(<[u8]>::to_vec)).binary(&data)
    }));
}

#[test]
fn every_mask_is_undone() {
    let masks = [[0; 4], [0xff; 4], [0, 0, 0, 1], [0x80, 0, 0, 0], [1, 2, 3, 4], *b"text"];
    run(masks.map(|mask| {
        let text = "abcdefghijklmnopqrstuvwxyz".repeat(4);
        let cut = 13;
        let send = [
            masked(FIN | TEXT, &text, mask),
            masked(FIN | BINARY, noise(129), mask),
            masked(TEXT, &text[..cut], mask),
            masked(FIN | CONTINUATION, &text[cut..], [9, 8, 7, 6]),
        ];
        Case::of(format!("{mask:x?}"), send).text(&text).binary(noise(129)).text(&text)
    }));
}

#[test]
fn a_frame_that_is_not_masked_is_closed_1002() {
    let unmasked = [("text", vec![FIN | TEXT, 1, b'x']), ("nothing", vec![FIN | TEXT, 0]), ("a ping", vec![FIN | PING, 0])];
    let long = ("200 bytes", [vec![FIN | BINARY, 126, 0, 200], vec![0; 200]].concat());
    run(unmasked.into_iter().chain([long]).map(|(what, bytes)| {
        Case::of(what, [whole(TEXT, "before"), bytes, whole(TEXT, "after")]).text("before").closed(1002)
    }));
}

#[test]
fn a_length_in_a_longer_form_than_needed_is_closed_1002() {
    let forms = [(16, 0), (16, 125), (64, 0), (64, 125), (64, 126), (64, 65_535)];
    run(forms.map(|(bits, length)| {
        let length_fits = usize::try_from(length).expect("a short length");
        let bytes = [long_header(FIN | BINARY, bits, length), vec![0; length_fits]].concat();
        Case::of(format!("{length} in {bits} bits"), [bytes]).closed(1002)
    }));
}

#[test]
fn a_length_with_its_highest_bit_is_closed_1002() {
    run([1 << 63, u64::MAX].map(|length| Case::of(format!("{length:x}"), [header(FIN | TEXT, length)]).closed(1002)));
}

#[test]
fn a_message_over_the_limit_is_closed_1009_on_its_header_alone() {
    let over = [(16 << 20) + 1, 1 << 32, u64::MAX >> 1];
    let single = over.map(|length| Case::of(format!("{length} bytes"), [header(FIN | TEXT, length)]).closed(1009));
    let mut rest: Vec<_> = (0..16).map(|_| frame(CONTINUATION, vec![b'x'; 1 << 20])).collect();
    rest[0][0] |= TEXT;
    rest.push(header(FIN | CONTINUATION, 1));
    run(single.into_iter().chain([Case::of("in fragments", rest).closed(1009)]));
}

#[test]
fn a_client_that_ends_inside_a_frame_is_left_alone() {
    let text = whole(TEXT, "some text");
    let cuts = (1..text.len()).map(|cut| Case::of(format!("after {cut}"), [text[..cut].to_vec()]).ends(End::Gone));
    let between = Case::of("between frames", [text.clone()]).text("some text").ends(End::Gone);
    let inside = Case::of("between fragments", [frame(TEXT, "some text")]).ends(End::Gone);
    run(cuts.chain([between, inside]));
}
