use http::HeaderMap;

use super::{Error, Field, StringMatcher, StringPattern};
use crate::request::RequestHead;

/// A predicate on one header field (Envoy's `HeaderMatcher`, gRFC A28 and A63).
///
/// An absent field matches only where presence is what is asked: [`ValueMatcher::Present`]`(false)`,
/// or `Present(true)` inverted. No other matcher matches it, inverted or not, unless
/// [`treat_missing_as_empty`](Self::treat_missing_as_empty) makes it present with an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderMatcher {
    /// The field whose value is looked at.
    pub field: Field,
    /// What is asked of the value.
    pub value: ValueMatcher,
    /// Whether a value that does not match is wanted. Default `false`.
    pub invert: bool,
    /// Whether an absent field is one with an empty value. Default `false`.
    pub treat_missing_as_empty: bool,
}

/// What a [`HeaderMatcher`] asks of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueMatcher {
    /// The value as a string, several values joined with `,`.
    String(StringMatcher),
    /// The value as a base-10 number in `start..end`; anything else is outside of every range.
    Range {
        /// The lowest number that matches.
        start: i64,
        /// The first number above `start` that does not match.
        end: i64,
    },
    /// The field is there (`true`) or absent (`false`).
    Present(bool),
}

impl HeaderMatcher {
    /// Asks `value` of the field called `name`.
    ///
    /// # Errors
    ///
    /// As [`Field::new`].
    pub fn new(name: &str, value: ValueMatcher) -> Result<Self, Error> {
        let field = Field::new(name)?;
        Ok(Self { field, value, invert: false, treat_missing_as_empty: false })
    }

    /// The same, wanting the opposite.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        self.invert = !self.invert;
        self
    }

    /// The same, with an absent field seen as an empty value.
    #[must_use]
    pub fn missing_as_empty(mut self) -> Self {
        self.treat_missing_as_empty = true;
        self
    }

    /// Whether the field of `head` matches.
    #[must_use]
    pub fn matches(&self, head: &RequestHead<'_>) -> bool {
        self.accepts(self.field.value(head).as_deref())
    }

    /// Whether the field among these of a response matches. A response has no pseudo header but
    /// its status, which is no field: those are absent.
    #[must_use]
    pub fn matches_fields(&self, headers: &HeaderMap) -> bool {
        self.accepts(self.field.value_in(headers).as_deref())
    }

    /// Whether the field matches if this is its value, or if it is absent.
    pub(crate) fn accepts(&self, value: Option<&[u8]>) -> bool {
        let found = match (value, &self.value) {
            (Some(value), matcher) => matcher.matches(value),
            (None, matcher) if self.treat_missing_as_empty => matcher.matches(b""),
            (None, ValueMatcher::Present(wanted)) => !wanted,
            (None, ValueMatcher::String(_) | ValueMatcher::Range { .. }) => return false,
        };
        found != self.invert
    }

    /// A guess of what matching costs, to ask the cheap questions first.
    pub(crate) fn cost(&self) -> u8 {
        match &self.value {
            ValueMatcher::Present(_) => 0,
            ValueMatcher::Range { .. } => 1,
            ValueMatcher::String(string) => match string.pattern() {
                StringPattern::Exact(_) | StringPattern::Prefix(_) | StringPattern::Suffix(_) => 1,
                StringPattern::Contains(_) => 2,
                StringPattern::Regex(_) => 3,
            },
        }
    }
}

impl ValueMatcher {
    /// Whether a value that is there matches.
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::String(string) => string.matches(value),
            Self::Range { start, end } => {
                number(value).is_some_and(|number| (*start..*end).contains(&number))
            }
            Self::Present(wanted) => *wanted,
        }
    }
}

/// Reads a number as Envoy does: white space around it and a sign are fine.
fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}
