use super::StringMatcher;
use crate::request::RequestHead;

/// A predicate on one query parameter (Envoy's `QueryParameterMatcher`).
///
/// As in Envoy, names and values are compared as they were sent, without percent-decoding, and of
/// a parameter given several times only the first counts. `?flag` is a parameter with an empty
/// value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryMatcher {
    /// The name, in the case it must have.
    pub name: Box<str>,
    /// What is asked of the value.
    pub value: ParameterMatcher,
}

/// What a [`QueryMatcher`] asks of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterMatcher {
    /// The value as a string; an absent parameter does not match.
    String(StringMatcher),
    /// The parameter is there (`true`) or absent (`false`).
    Present(bool),
}

impl QueryMatcher {
    /// Asks `value` of the parameter called `name`.
    #[must_use]
    pub fn new(name: &str, value: ParameterMatcher) -> Self {
        Self { name: name.into(), value }
    }

    /// Whether the parameter of `head` matches.
    #[must_use]
    pub fn matches(&self, head: &RequestHead<'_>) -> bool {
        let value = head.query.and_then(|query| first(query, &self.name));
        self.accepts(value.map(str::as_bytes))
    }

    /// Whether a parameter with this value matches; `None` is an absent one.
    #[must_use]
    pub fn accepts(&self, value: Option<&[u8]>) -> bool {
        match &self.value {
            ParameterMatcher::String(string) => value.is_some_and(|value| string.matches(value)),
            ParameterMatcher::Present(wanted) => value.is_some() == *wanted,
        }
    }
}

fn first<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut named = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    named.find(|(key, _)| *key == name).map(|(_, value)| value)
}
