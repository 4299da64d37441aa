//! White space and control characters in values: one rule for variables, flags, the configuration file and files of secrets.
//!
//! White space at both ends is dropped, because tools add it (`echo`, editors, line ends of Windows) and no value needs it.
//! What is left must be printable text without invisible characters at its ends; [`Shape`] says what may stand inside.
//! A complaint names the setting and the character, never the value: it may be a secret.

use std::path::{Path, PathBuf};

/// What may stand inside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One of a few fixed names. Nothing is dropped, so that only the exact name counts.
    Exact,
    /// Text without white space: an address, a number, a switch.
    Word,
    /// Words separated by commas; white space beside a comma is dropped.
    Words,
    /// Text of one line, which may hold spaces: a path, a name, a secret.
    Line,
    /// Lines separated by commas; white space beside a comma is dropped.
    Lines,
    /// Text of several lines: PEM, or a key that a tool has broken into lines.
    Block,
}

/// Characters that are not shown and change how text is read: soft hyphen, zero width, directions, byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// ASCII white space, with the vertical tab that `char::is_ascii_whitespace` leaves out.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// Drops what can only be meant to be absent, and refuses what cannot be meant.
///
/// # Errors
/// What is wrong, as the rest of a sentence that begins with the setting's name.
pub fn clean(text: &str, shape: Shape) -> Result<String, String> {
    let part = |part: &str, inside: fn(char) -> bool| {
        let trimmed = part.trim_matches(is_blank);
        let end = |c: &char| c.is_whitespace() || is_invisible(*c);
        let ends = trimmed.chars().next().filter(end).or(trimmed.chars().next_back().filter(end));
        match ends.or_else(|| trimmed.chars().find(|c| !inside(*c))) {
            Some(c) => Err(format!("has {} in it", described(c))),
            None => Ok(trimmed.to_owned()),
        }
    };
    let parts = |inside: fn(char) -> bool| -> Result<String, String> {
        Ok(text.split(',').map(|one| part(one, inside)).collect::<Result<Vec<_>, _>>()?.join(","))
    };
    let word: fn(char) -> bool = |c| !c.is_whitespace() && !c.is_control() && !is_invisible(c);
    let line: fn(char) -> bool = |c| !c.is_control();
    let block: fn(char) -> bool = |c| !c.is_control() || is_blank(c);
    match shape {
        Shape::Exact => Ok(text.to_owned()),
        Shape::Word => part(text, word),
        Shape::Words => parts(word),
        Shape::Line => part(text, line),
        Shape::Lines => parts(line),
        Shape::Block => part(text, block),
    }
}

/// What to do about such a value.
pub(super) const REMEDY: &str = "Write it without that character; tools that print or paste values often add one.";

/// A character that may be invisible, in words.
fn described(c: char) -> String {
    let name = match c {
        '\0' => "a zero byte",
        '\t' => "a tab",
        '\n' => "a line feed",
        '\r' => "a carriage return",
        ' ' => "a space",
        '\u{a0}' => "a no-break space",
        '\u{feff}' => "a byte order mark",
        _ if c.is_whitespace() => "white space",
        _ if c.is_control() => "a control character",
        _ => "an invisible character",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

/// A path as it was meant. One that is no UTF-8 is left as it is.
///
/// # Errors
/// As [`clean`].
pub fn clean_path(path: PathBuf) -> Result<PathBuf, String> {
    path.to_str().map(|text| clean(text, Shape::Line).map(PathBuf::from)).unwrap_or(Ok(path))
}

/// Whether dropping white space would open another database than the one that lies there under the name as it is written.
pub(super) fn names_another_database(written: &str, clean: &str) -> bool {
    let there = |text: &str| text.strip_prefix("sqlite://").is_some_and(|path| Path::new(path).exists());
    written != clean && there(written.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_at_the_ends_is_dropped_and_nothing_that_is_not_shown_is_kept() {
        for shape in [Shape::Word, Shape::Words, Shape::Line, Shape::Lines, Shape::Block] {
            for end in [" ", "\n", "\r\n", "\t", "\u{b}", "\u{c}", " \n\n"] {
                for text in [format!("{end}a-b"), format!("a-b{end}"), format!("{end}a-b{end}")] {
                    assert_eq!(clean(&text, shape), Ok("a-b".to_owned()), "{shape:?} {text:?}");
                }
            }
            for end in ['\0', '\u{1b}', '\u{7f}', '\u{85}', '\u{a0}', '\u{2003}', '\u{200b}', '\u{202e}', '\u{feff}'] {
                for text in [format!("{end}a"), format!("a{end}"), format!("{end}")] {
                    let said = clean(&text, shape).expect_err("refused");
                    assert!(said.contains(&format!("U+{:04X}", u32::from(end))) && !said.contains(end), "{shape:?} {said}");
                }
            }
        }
        for (shape, text, expected) in [
            (Shape::Word, "a b", None),
            (Shape::Word, "a\u{200b}b", None),
            (Shape::Word, "a\nb", None),
            (Shape::Words, " a,\n b ,,c", Some("a,b,,c")),
            (Shape::Words, "a b,c", None),
            (Shape::Line, "/my files/a.db", Some("/my files/a.db")),
            (Shape::Line, "a\nb", None),
            (Shape::Line, "a\tb", None),
            (Shape::Line, "\u{644}\u{200c}\u{631}", Some("\u{644}\u{200c}\u{631}")),
            (Shape::Lines, "one two,\nthree", Some("one two,three")),
            (Shape::Lines, "one\ntwo", None),
            (Shape::Block, "a\r\n\tb\n", Some("a\r\n\tb")),
            (Shape::Block, "a\0b", None),
            (Shape::Exact, " a\n", Some(" a\n")),
        ] {
            assert_eq!(clean(text, shape).ok().as_deref(), expected, "{shape:?} {text:?}");
        }
    }
}
