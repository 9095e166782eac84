//! Members of JSON objects, each with a bound.

use std::fmt::{self, Write};

/// The members of an object, without the braces, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(String);

impl Members {
    /// Adds a text, of which at most `room` bytes are written.
    pub(super) fn text(mut self, name: &'static str, value: &str, room: usize) -> Self {
        self.name(name);
        self.0.push('"');
        escape(&mut self.0, value, room);
        self.0.push('"');
        self
    }

    /// Adds a number, `true` or `false`.
    pub(super) fn plain(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn name(&mut self, name: &'static str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{name}\":");
    }
}

/// Appends `text` as it stands between the quotes of JSON, up to `room` bytes; what is cut off ends
/// in an ellipsis.
///
/// Characters that steer terminals, or turn the reading direction, are written as numbers.
fn escape(into: &mut String, text: &str, room: usize) {
    let end = into.len() + room;
    // Where an ellipsis still fits.
    let mut cut = into.len();
    for char in text.chars() {
        if into.len() + '…'.len_utf8() <= end {
            cut = into.len();
        }
        match char {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            char if steers(char) => {
                let _ = write!(into, "\\u{:04x}", u32::from(char));
            }
            char => into.push(char),
        }
        if into.len() > end {
            into.truncate(cut);
            into.push('…');
            return;
        }
    }
}

/// All of them have four hexadecimal digits.
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, room: usize) -> String {
        let mut into = String::new();
        escape(&mut into, text, room);
        into
    }

    #[test]
    fn what_steers_is_a_number() {
        let text = "a\"\\\n\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2028}é";
        let expected = r#"a\"\\\u000a\u001b[2J\u007f\u009b\u202e\u2028é"#;
        assert_eq!(written(text, 100), expected);
        let read: String = serde_json::from_str(&format!("\"{expected}\"")).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((written("abcdef", 6), written("abcdefg", 6)), ("abcdef".into(), "abc…".into()));
        assert_eq!((written("é\n\n", 8), written("\n\n", 8)), ("é…".into(), "…".into()));
    }
}
