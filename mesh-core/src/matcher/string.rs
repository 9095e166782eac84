use regex::bytes::{Regex, RegexBuilder};

use super::full_regex::{PROGRAM_LIMIT, regex_error};
use super::{Error, FullRegex};

/// A predicate on a string (Envoy's `StringMatcher`).
///
/// Case, where it is ignored, is that of ASCII letters.
#[derive(Clone, Debug)]
pub struct StringMatcher {
    pattern: StringPattern,
    ignore_case: bool,
    /// Finds a substring in linear time; only for [`StringPattern::Contains`].
    finder: Option<Regex>,
}

/// What a [`StringMatcher`] compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringPattern {
    /// The whole value; may be empty.
    Exact(Box<str>),
    /// How the value starts; never empty.
    Prefix(Box<str>),
    /// How the value ends; never empty.
    Suffix(Box<str>),
    /// What the value has somewhere; never empty.
    Contains(Box<str>),
    /// A pattern for the whole value.
    Regex(FullRegex),
}

impl StringMatcher {
    /// Matches exactly `value`.
    #[must_use]
    pub fn exact(value: &str) -> Self {
        Self::from_pattern(StringPattern::Exact(value.into()))
    }

    /// Matches what starts with `prefix`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] when `prefix` is.
    pub fn prefix(prefix: &str) -> Result<Self, Error> {
        Ok(Self::from_pattern(StringPattern::Prefix(filled(prefix, "prefix")?)))
    }

    /// Matches what ends with `suffix`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] when `suffix` is.
    pub fn suffix(suffix: &str) -> Result<Self, Error> {
        Ok(Self::from_pattern(StringPattern::Suffix(filled(suffix, "suffix")?)))
    }

    /// Matches what has `part` in it.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] when `part` is; [`Error::Regex`] when it is some hundred kilobytes long.
    pub fn contains(part: &str) -> Result<Self, Error> {
        let pattern = StringPattern::Contains(filled(part, "contains")?);
        let finder = Some(finder(part, false)?);
        Ok(Self { pattern, ignore_case: false, finder })
    }

    /// Matches what `pattern` matches as a whole.
    ///
    /// # Errors
    ///
    /// As [`FullRegex::new`].
    pub fn safe_regex(pattern: &str) -> Result<Self, Error> {
        Ok(Self::from_pattern(StringPattern::Regex(FullRegex::new(pattern)?)))
    }

    /// The same, not minding the case of ASCII letters. Without effect on a regex.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains), which is compiled anew.
    pub fn ignore_case(mut self) -> Result<Self, Error> {
        match &self.pattern {
            StringPattern::Regex(_) => return Ok(self),
            StringPattern::Contains(part) => self.finder = Some(finder(part, true)?),
            StringPattern::Exact(_) | StringPattern::Prefix(_) | StringPattern::Suffix(_) => {}
        }
        self.ignore_case = true;
        Ok(self)
    }

    /// Whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        match &self.pattern {
            StringPattern::Exact(expected) => self.equal(value, expected.as_bytes()),
            StringPattern::Prefix(prefix) => {
                let head = value.get(..prefix.len());
                head.is_some_and(|head| self.equal(head, prefix.as_bytes()))
            }
            StringPattern::Suffix(suffix) => {
                let start = value.len().checked_sub(suffix.len());
                let tail = start.and_then(|start| value.get(start..));
                tail.is_some_and(|tail| self.equal(tail, suffix.as_bytes()))
            }
            StringPattern::Contains(_) => {
                self.finder.as_ref().is_some_and(|finder| finder.is_match(value))
            }
            StringPattern::Regex(regex) => regex.matches(value),
        }
    }

    /// What values are compared with.
    #[must_use]
    pub fn pattern(&self) -> &StringPattern {
        &self.pattern
    }

    /// Whether the case of ASCII letters does not matter. Always `false` for a regex.
    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    fn from_pattern(pattern: StringPattern) -> Self {
        Self { pattern, ignore_case: false, finder: None }
    }

    fn equal(&self, value: &[u8], expected: &[u8]) -> bool {
        if self.ignore_case { value.eq_ignore_ascii_case(expected) } else { value == expected }
    }
}

impl PartialEq for StringMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.ignore_case == other.ignore_case
    }
}

impl Eq for StringMatcher {}

fn filled(text: &str, what: &'static str) -> Result<Box<str>, Error> {
    if text.is_empty() { Err(Error::Empty { what }) } else { Ok(text.into()) }
}

fn finder(part: &str, ignore_case: bool) -> Result<Regex, Error> {
    RegexBuilder::new(&regex::escape(part))
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(PROGRAM_LIMIT)
        .build()
        .map_err(|error| regex_error(&error))
}
