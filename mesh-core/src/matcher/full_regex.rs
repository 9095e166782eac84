use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::util::syntax;

use super::Error;

/// A regular expression that must match the whole value, as Envoy's `safe_regex` does.
///
/// Works on bytes: `.` is any byte but a line feed, classes such as `\d` are ASCII.
#[derive(Clone)]
pub struct FullRegex {
    pattern: Box<str>,
    regex: Regex,
}

impl FullRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// [`Error::Regex`] when `pattern` is not valid on its own, or its program exceeds 1 MiB.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        // Alone first: `a)|(b` is no pattern, but becomes one between the anchors.
        syntax::parse_with(pattern, &self::syntax()).map_err(|error| regex_error(&error))?;
        let regex = RegexBuilder::new(&anchored(pattern))
            .unicode(false)
            .size_limit(PROGRAM_LIMIT)
            .build()
            .map_err(|error| regex_error(&error))?;
        Ok(Self { pattern: pattern.into(), regex })
    }

    /// Whether the pattern matches all of `value`.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// The pattern as it was given, without anchors.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

/// Two are equal when their patterns are.
impl PartialEq for FullRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for FullRegex {}

impl fmt::Debug for FullRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FullRegex").field(&self.pattern).finish()
    }
}

/// `pattern`, made to match all or nothing.
pub(crate) fn anchored(pattern: &str) -> String {
    format!(r"\A(?:{pattern})\z")
}

/// How patterns are read wherever they are compiled: bytes in, bytes matched.
pub(crate) fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

/// A parse error is a drawing of several lines, of which the last says what is wrong.
pub(crate) fn regex_error(error: &dyn fmt::Display) -> Error {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let why = last.trim_start_matches("error: ").chars().take(200).collect();
    Error::Regex { why }
}

/// Bytes of one compiled pattern. A tenth of what the `regex` crate allows: patterns come from the
/// network, and a table may hold thousands.
pub(super) const PROGRAM_LIMIT: usize = 1 << 20;
