//! Text that is UTF-8, and text that only looks so: whole, in fragments cut at each byte, and refused with the byte that
//! shows it.

use crate::{
    case::{Case, run},
    wire::{CONTINUATION, FIN, PING, TEXT, frame, header, in_fragments, whole},
};

/// From the decoder capability and stress test of Markus Kuhn: characters at each border, and those that may be there
/// though nobody expects them.
const RIGHT: [&str; 20] = [
    "",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u{0}",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{ffff}",
    "\u{10000}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{feff}",
    "\u{fdd0}\u{fdef}",
    "\u{1fffe}\u{1ffff}\u{fffff}",
    "\u{10fffe}",
    "\u{10ffff}",
    "\u{1f600}\u{200d}\u{1f525}",
];

/// What no text may hold, with its name.
const WRONG: [(&str, &[u8]); 53] = [
    ("first continuation byte", b"\x80"),
    ("last continuation byte", b"\xbf"),
    ("two continuation bytes", b"\x80\xbf"),
    ("seven continuation bytes", b"\x80\xbf\x80\xbf\x80\xbf\x80"),
    ("first byte of two, alone", b"\xc2 "),
    ("last first byte of two, alone", b"\xdf "),
    ("first byte of three, alone", b"\xe0 "),
    ("last first byte of three, alone", b"\xef "),
    ("first byte of four, alone", b"\xf0 "),
    ("last first byte of four, alone", b"\xf4 "),
    ("first byte of five", b"\xf8 "),
    ("first byte of six", b"\xfc "),
    ("two of which the last is missing", b"\xc2"),
    ("three of which the last is missing", b"\xe0\xa0"),
    ("four of which the last is missing", b"\xf0\x90\x80"),
    ("three of which two are missing", b"\xe2"),
    ("four of which two are missing", b"\xf0\x9f"),
    ("four of which three are missing", b"\xf4"),
    ("five", b"\xf8\x88\x80\x80\x80"),
    ("six", b"\xfc\x84\x80\x80\x80\x80"),
    ("last of five", b"\xfb\xbf\xbf\xbf\xbf"),
    ("last of six", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ("fe", b"\xfe"),
    ("ff", b"\xff"),
    ("fe fe ff ff", b"\xfe\xfe\xff\xff"),
    ("slash in two", b"\xc0\xaf"),
    ("slash in three", b"\xe0\x80\xaf"),
    ("slash in four", b"\xf0\x80\x80\xaf"),
    ("slash in five", b"\xf8\x80\x80\x80\xaf"),
    ("slash in six", b"\xfc\x80\x80\x80\x80\xaf"),
    ("last that fits in one, in two", b"\xc1\xbf"),
    ("last that fits in two, in three", b"\xe0\x9f\xbf"),
    ("last that fits in three, in four", b"\xf0\x8f\xbf\xbf"),
    ("last that fits in four, in five", b"\xf8\x87\xbf\xbf\xbf"),
    ("NUL in two", b"\xc0\x80"),
    ("NUL in three", b"\xe0\x80\x80"),
    ("NUL in four", b"\xf0\x80\x80\x80"),
    ("first high surrogate", b"\xed\xa0\x80"),
    ("last high surrogate", b"\xed\xaf\xbf"),
    ("first low surrogate", b"\xed\xb0\x80"),
    ("last low surrogate", b"\xed\xbf\xbf"),
    ("pair of the first surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("pair of the last surrogates", b"\xed\xaf\xbf\xed\xbf\xbf"),
    ("one past the last character", b"\xf4\x90\x80\x80"),
    ("last of four", b"\xf7\xbf\xbf\xbf"),
    ("f5", b"\xf5\x80\x80\x80"),
    ("continuation missing in the middle", b"\xe2\x28\xa1"),
    ("continuation missing at the end", b"\xe2\x82\x28"),
    ("continuation missing in four", b"\xf0\x28\x8c\xbc"),
    ("a character inside another", b"\xf0\x9f\xc3\xa9\x98\x80"),
    ("Latin-1", b"caf\xe9 au lait"),
    ("kosme and a surrogate", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"),
    ("UTF-16", b"\xff\xfeh\x00i\x00"),
];

#[test]
fn text_that_is_utf8_is_echoed_whole_and_in_fragments_of_every_size() {
    run(RIGHT.into_iter().flat_map(|text| {
        let around = format!("before {text} after");
        let sizes = 1..=text.len().max(1);
        let fragments =
            sizes.map(move |size| Case::of(format!("{text:?}, {size}"), in_fragments(TEXT, text, size)).text(text));
        let alone = Case::of(format!("{text:?}"), [whole(TEXT, text)]).text(text);
        let inside = Case::of(format!("{text:?}, inside"), [whole(TEXT, &around)]).text(around);
        fragments.chain([alone, inside]).collect::<Vec<_>>()
    }));
}

#[test]
fn text_that_is_not_utf8_is_closed_1007_whole_and_cut_anywhere() {
    run(WRONG.into_iter().flat_map(|(name, bytes)| {
        let alone = Case::of(name, [whole(TEXT, bytes)]).closed(1007);
        let after = Case::of(format!("{name}, after text"), [whole(TEXT, "right"), whole(TEXT, [b"x", bytes].concat())]);
        let cuts = (0..=bytes.len()).map(move |cut| {
            let send = [frame(TEXT, &bytes[..cut]), frame(FIN | CONTINUATION, &bytes[cut..])];
            Case::of(format!("{name}, cut at {cut}"), send).closed(1007)
        });
        cuts.chain([alone, after.text("right").closed(1007)]).collect::<Vec<_>>()
    }));
}

#[test]
fn a_wrong_byte_is_closed_1007_before_the_message_or_even_its_frame_is_whole() {
    // Those that end inside a character might still be mended.
    let wrong = WRONG.into_iter().filter(|(name, _)| !name.contains("missing") || name.contains("continuation"));
    run(wrong.flat_map(|(name, bytes)| {
        let fragment = Case::of(format!("{name}, a first fragment"), [frame(TEXT, bytes)]).closed(1007);
        let later = [frame(TEXT, "right"), frame(CONTINUATION, bytes)];
        // The bytes as they are masked, under a header that says there will be more.
        let half = [header(FIN | TEXT, 100_000), frame(TEXT, bytes)[6..].to_vec()].concat();
        [
            fragment,
            Case::of(format!("{name}, a later fragment"), later).closed(1007),
            Case::of(format!("{name}, a frame of which this is the beginning"), [half]).closed(1007),
        ]
    }));
}

#[test]
fn text_that_may_still_be_mended_is_waited_for() {
    let text = "\u{1f600}";
    let bytes = text.as_bytes();
    run((1..4).map(|cut| {
        let [begun, ended] = [frame(TEXT, &bytes[..cut]), frame(FIN | CONTINUATION, &bytes[cut..])];
        Case::of(format!("cut at {cut}"), [begun, whole(PING, "?"), ended]).pong("?").text(text)
    }));
}
