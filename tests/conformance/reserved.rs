//! Bits and opcodes that mean nothing.

use crate::{
    case::{Case, run},
    wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame, header, whole},
};

/// Before and after the offending frame there are right ones: the first is answered, the last is not.
fn between(what: &str, offence: Vec<u8>) -> [Case; 2] {
    let alone = Case::of(format!("{what}, alone"), [offence.clone()]).closed(1002);
    let send = [whole(TEXT, "before"), offence, whole(PING, "after")];
    [alone, Case::of(format!("{what}, between others"), send).text("before").closed(1002)]
}

#[test]
fn every_reserved_bit_on_every_frame_is_closed_1002() {
    let bits = 1..8u8;
    run(bits.flat_map(|bits| {
        [TEXT, BINARY, CLOSE, PING, PONG].into_iter().flat_map(move |opcode| {
            let sized = [&b""[..], b"\x03\xe8"].into_iter();
            sized.flat_map(move |payload| {
                let what = format!("bits {bits:03b} on {opcode:#x}, {} bytes", payload.len());
                between(&what, frame(FIN | bits << 4 | opcode, payload))
            })
        })
    }));
}

#[test]
fn a_reserved_bit_on_a_later_fragment_is_closed_1002() {
    run((1..8u8).map(|bits| {
        let send = [frame(TEXT, "begun"), frame(FIN | bits << 4 | CONTINUATION, "and over")];
        Case::of(format!("bits {bits:03b}"), send).closed(1002)
    }));
}

#[test]
fn every_reserved_opcode_is_closed_1002() {
    let opcodes = (0x3..=0x7).chain(0xb..=0xf);
    run(opcodes.flat_map(|opcode| {
        let forms = [("", frame(FIN | opcode, b"")), (" with bytes", frame(FIN | opcode, "bytes"))];
        let header_alone = (" of which the header alone is there", header(FIN | opcode, 1 << 20));
        let not_last = (" in fragments", frame(opcode, "bytes"));
        let all = forms.into_iter().chain([header_alone, not_last]);
        all.flat_map(move |(form, bytes)| between(&format!("{opcode:#x}{form}"), bytes))
    }));
}

#[test]
fn a_reserved_opcode_between_fragments_is_closed_1002() {
    run((0x3..=0x7).chain(0xb..=0xf).map(|opcode| {
        let send = [frame(TEXT, "begun"), frame(FIN | opcode, b""), frame(FIN | CONTINUATION, "over")];
        Case::of(format!("{opcode:#x}"), send).closed(1002)
    }));
}

#[test]
fn what_is_no_frame_at_all_is_closed_1002() {
    run([
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        vec![0xff; 64],
        vec![0; 64],
    ]
    .map(|bytes| Case::of(format!("{bytes:x?}"), [bytes]).closed(1002)));
}
