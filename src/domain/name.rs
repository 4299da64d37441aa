//! Display names: what of a name is shown, and the form in which names are searched.

use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};
use unicode_segmentation::UnicodeSegmentation;

/// Longest display name that others may set, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Canonical combining class of a virama, the sign that joins consonants in Indic scripts (Unicode Standard, table 4-3).
const VIRAMA: u8 = 9;

/// Returns a name that can be shown in one line: without control characters, without characters that change the direction
/// of text or are invisible, and of at most [`NAME_CHARS_MAX`] characters. Joiners (U+200C and U+200D) stay where
/// spelling needs them. `None` if nothing is left.
pub fn shown_name(text: &str) -> Option<String> {
    let name: String = text.chars().filter(|c| is_joiner(*c) || !is_hidden(*c)).take(NAME_CHARS_MAX).collect();
    let name = without_hidden_joiners(name);
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Returns the form of a name, or of the beginning of one, in which names are compared by search: decomposed (normalization
/// form D), in lower case, without joiners. Decomposed, because a prefix of a name must stay a prefix of its form: `rene`
/// finds `René`. Character by character, because `str::to_lowercase` looks at what follows a final sigma.
pub fn folded_name(text: &str) -> String {
    let lower = text.nfd().filter(|c| !is_joiner(*c)).flat_map(char::to_lowercase);
    lower.map(|c| if c == 'ς' { 'σ' } else { c }).nfd().collect()
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Removes joiners that change nothing in how the name is written.
fn without_hidden_joiners(name: String) -> String {
    if !name.contains(is_joiner) {
        return name;
    }
    let mut kept = String::with_capacity(name.len());
    for (start, cluster) in name.grapheme_indices(true) {
        for (at, c) in cluster.char_indices() {
            let after = start + at + c.len_utf8();
            let in_cluster = after < start + cluster.len();
            if !is_joiner(c) || joins(c, &name[..start + at], name[after..].chars().next(), in_cluster) {
                kept.push(c);
            }
        }
    }
    kept
}

/// Whether a joiner between these texts is part of the spelling: between letters (Persian, Kurdish), behind a virama
/// (Sinhala, Malayalam, Bengali; RFC 5892 appendix A), or U+200D between two emoji, which make one grapheme cluster
/// then (UAX 29, rule GB11).
fn joins(joiner: char, before: &str, next: Option<char>, same_cluster: bool) -> bool {
    let mut backwards = before.chars().rev();
    if backwards.next().is_some_and(|c| canonical_combining_class(c) == VIRAMA) {
        return true;
    }
    let Some(next) = next.filter(|c| !is_joiner(*c)) else { return false };
    let base = before.chars().rev().find(|c| !is_combining_mark(*c));
    let letters = base.is_some_and(char::is_alphabetic) && next.is_alphabetic();
    let skin_tone = matches!(next, '\u{1f3fb}'..='\u{1f3ff}');
    let emoji = joiner == '\u{200d}' && same_cluster && !skin_tone && !is_combining_mark(next);
    letters || emoji
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
