//! Large messages and many of them.

use crate::{
    case::{Case, run},
    wire::{BINARY, TEXT, in_fragments, noise, whole},
};

const LARGEST: usize = 16 << 20;

#[test]
fn a_message_of_16_mib_is_echoed() {
    let data = noise(LARGEST);
    run([Case::of("binary", [whole(BINARY, &data)]).binary(data)]);
}

#[test]
fn a_text_of_16_mib_in_fragments_of_1_mib_is_echoed() {
    let text = "\u{20ac}uro".repeat(LARGEST / 6) + "last";
    assert_eq!(text.len(), LARGEST);
    run([Case::of("text", in_fragments(TEXT, &text, 1 << 20)).text(text)]);
}

#[test]
fn a_message_of_a_mebibyte_is_echoed_in_fragments_of_every_size() {
    let data = noise(1 << 20);
    run([64, 256, 1_000, 4_096, 65_536]
        .map(|size| Case::of(format!("{size} bytes"), [in_fragments(BINARY, &data, size).concat()]).binary(&data)));
}

#[test]
fn a_thousand_messages_at_once_are_echoed_in_their_order() {
    run([0, 16, 126, 1_024, 16_384].into_iter().flat_map(|size| {
        let messages: Vec<_> = (0..1_000).map(|number| format!("{number:_<size$.size$}")).collect();
        let texts = Case::of(format!("texts of {size}"), messages.iter().map(|text| whole(TEXT, text)));
        let binary = Case::of(format!("binary of {size}"), messages.iter().map(|data| whole(BINARY, data)));
        [messages.iter().fold(texts, Case::text), messages.iter().fold(binary, Case::binary)]
    }));
}
