//! Tests of display names: by example, and by property over random text.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;

#[test]
fn a_name_that_is_shown_stays_in_its_line_and_is_not_too_long() {
    let forged = "Zoe\nroot\tadmin\u{1b}[2J\u{202e}\u{200b} ";
    assert_eq!(shown_name(forged).as_deref(), Some("Zoerootadmin[2J"));
    assert_eq!(shown_name(" \t\u{feff}"), None);
    assert_eq!(shown_name("Zoë 陳"), Some("Zoë 陳".to_owned()));
    assert_eq!(shown_name(&"x".repeat(200)).map(|name| name.len()), Some(NAME_CHARS_MAX));
}

#[test]
fn joiners_stay_where_spelling_needs_them() {
    for name in [
        "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}", // Persian
        "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",               // Sinhala
        "\u{d05}\u{d35}\u{d28}\u{d4d}\u{200d}",               // Malayalam, at the end of a word
        "\u{1f469}\u{1f3fd}\u{200d}\u{1f4bb}",                // a woman with a skin tone and a computer
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",        // a family
        "\u{2764}\u{fe0f}\u{200d}\u{1f525} Kim",              // a heart on fire
        "\u{1f937}\u{200d}\u{2640}\u{fe0f}",                  // a woman who shrugs
    ] {
        assert_eq!(shown_name(name).as_deref(), Some(name));
    }
}

#[test]
fn joiners_that_nobody_can_see_are_removed() {
    for (text, shown) in [
        ("\u{200d}Alice\u{200c}", "Alice"),
        ("Ali\u{200d}\u{200d}ce", "Alice"),
        ("Alice \u{200d} B", "Alice  B"),
        ("1\u{200d}2", "12"),
        ("\u{1f468}\u{200c}\u{1f469}", "\u{1f468}\u{1f469}"),
        ("\u{1f468}\u{200d}\u{1f3fd}", "\u{1f468}\u{1f3fd}"),
        ("\u{1f468}\u{200d}", "\u{1f468}"),
    ] {
        assert_eq!(shown_name(text).as_deref(), Some(shown));
    }
    let cut = format!("{}\u{1f468}\u{200d}\u{1f469}", "x".repeat(NAME_CHARS_MAX - 2));
    assert!(shown_name(&cut).expect("a name").ends_with("x\u{1f468}"), "no half of a sequence at the limit");
}

#[test]
fn names_are_found_in_any_case_and_composition() {
    for (one, other) in [
        ("Ren\u{e9}e", "REN\u{c9}E"),
        ("Ren\u{e9}e", "Rene\u{301}e"),
        ("\u{212b}ngstr\u{f6}m", "A\u{30a}ngstro\u{308}m"),
        ("\u{1ec7}", "e\u{302}\u{323}"),
        ("\u{d55c}\u{ae00}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
        ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
        ("\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}", "\u{639}\u{644}\u{6cc}\u{631}\u{636}\u{627}"),
    ] {
        assert_eq!(folded_name(one), folded_name(other));
    }
    assert!(folded_name("Ren\u{e9}e").starts_with(&folded_name("rene")));
}

/// Letters, marks, joiners, emoji and hidden characters, more often than chance would bring them together.
fn text() -> impl Strategy<Value = String> {
    let special = "[a-zA-Z\u{e9}\u{301}\u{308}\u{323}\u{3a3}\u{130}\u{d28}\u{d4d}\u{631}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{fe0f}\u{1f3fd}\u{1f468}\u{1f525}\u{2640} \n\u{1b}]{0,12}";
    prop_oneof![special.prop_map(|text| text), "\\PC{0,24}".prop_map(|text| text)]
}

proptest! {
    #[test]
    fn whatever_is_typed_a_shown_name_holds_nothing_hidden_and_is_shown_as_it_is(text in text()) {
        let Some(name) = shown_name(&text) else { return Ok(()) };
        prop_assert!(!name.chars().any(|c| is_hidden(c) && !is_joiner(c)), "{name:?}");
        prop_assert!(name.chars().count() <= NAME_CHARS_MAX && name.trim() == name);
        prop_assert!(shown_name(&name).as_ref() == Some(&name), "{name:?}");
        let visible = |text: &str| text.chars().filter(|c| !is_hidden(*c)).collect::<String>();
        prop_assert!(visible(&name).trim() == visible(&text).trim(), "nothing else is lost of {text:?}");
        for (at, joiner) in name.char_indices().filter(|(_, c)| is_joiner(*c)) {
            let (before, after) = (name[..at].chars().next_back(), name[at + joiner.len_utf8()..].chars().next());
            let before = before.expect("a name never begins with a joiner");
            prop_assert!(!before.is_whitespace() && !before.is_ascii_digit() && !is_joiner(before), "{name:?}");
            prop_assert!(after.is_none_or(|c| !is_joiner(c)), "{name:?}");
            prop_assert!(after.is_some() || canonical_combining_class(before) == VIRAMA, "{name:?}");
        }
    }

    #[test]
    fn the_searched_form_is_the_same_for_every_spelling_and_a_prefix_stays_one(text in text(), at in 0_usize..24) {
        let folded = folded_name(&text);
        prop_assert_eq!(&folded_name(&text.nfc().collect::<String>()), &folded);
        prop_assert_eq!(&folded_name(&text.nfd().collect::<String>()), &folded);
        prop_assert_eq!(&folded_name(&folded), &folded);
        let mut cut = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let at = cut.nth(at.min(text.chars().count())).expect("within");
        // Marks are ordered by class: a cut between two of them may stand in another order.
        if !text[at..].chars().find(|c| !is_joiner(*c)).is_some_and(is_combining_mark) {
            prop_assert!(folded.starts_with(&folded_name(&text[..at])), "{text:?} at {at}");
        }
    }
}
