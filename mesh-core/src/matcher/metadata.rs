use std::ops::Range;

use super::StringMatcher;
use crate::metadata::{Metadata, Value};

/// A predicate on one value of [`Metadata`] (Envoy's `MetadataMatcher`).
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataMatcher {
    /// Whose values, such as `envoy.filters.http.jwt_authn`.
    pub namespace: Box<str>,
    /// The way to the value, through structs.
    pub path: Box<[Box<str>]>,
    /// What is asked of it.
    pub value: ContentMatcher,
    /// Whether a value that does not match, or is absent, is wanted.
    pub invert: bool,
}

impl MetadataMatcher {
    /// Whether `metadata` has a value that matches; `None` where [`ContentMatcher::matches`] cannot
    /// say.
    #[must_use]
    pub fn matches(&self, metadata: &Metadata) -> Option<bool> {
        let value = metadata.find(&self.namespace, &self.path);
        let matches = value.map_or(Some(false), |value| self.value.matches(value))?;
        Some(matches != self.invert)
    }
}

/// A predicate on a value that is there (Envoy's `ValueMatcher`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ContentMatcher {
    /// It is null.
    Null,
    /// It is this truth value.
    Bool(bool),
    /// It is a number in this range.
    Range(Range<f64>),
    /// It is this number.
    Number(f64),
    /// It is a string that matches.
    String(StringMatcher),
    /// It is there. By the documentation of `present_match` lists and structs never match; in Envoy
    /// they do.
    Present,
    /// It is a list with a value that matches.
    OneOf(Box<ContentMatcher>),
    /// It matches one of these.
    Any(Vec<ContentMatcher>),
}

impl ContentMatcher {
    /// Whether `value` matches; `None` if one reader of the configuration would say so and another
    /// would not ([`Present`](Self::Present)).
    #[must_use]
    pub fn matches(&self, value: &Value) -> Option<bool> {
        match (self, value) {
            (Self::Any(matchers), value) => any(matchers.iter().map(|it| it.matches(value))),
            (Self::OneOf(matcher), Value::List(values)) => {
                any(values.iter().map(|value| matcher.matches(value)))
            }
            (Self::Null, Value::Null) => Some(true),
            (Self::Bool(expected), Value::Bool(value)) => Some(expected == value),
            (Self::Range(range), Value::Number(number)) => Some(range.contains(number)),
            (Self::Number(expected), Value::Number(number)) => Some(expected == number),
            (Self::String(matcher), Value::String(text)) => Some(matcher.matches(text.as_bytes())),
            (Self::Present, Value::List(_) | Value::Struct(_)) => None,
            (Self::Present, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                Some(true)
            }
            (
                Self::OneOf(_)
                | Self::Null
                | Self::Bool(_)
                | Self::Range(_)
                | Self::Number(_)
                | Self::String(_),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::List(_)
                | Value::Struct(_),
            ) => Some(false),
        }
    }

    /// Levels of matchers in it, itself included.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::OneOf(inner) => inner.depth().saturating_add(1),
            Self::Any(inner) => inner.iter().map(Self::depth).max().unwrap_or(0).saturating_add(1),
            Self::Null
            | Self::Bool(_)
            | Self::Range(_)
            | Self::Number(_)
            | Self::String(_)
            | Self::Present => 1,
        }
    }
}

/// The OR of `answers`.
fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(false);
    for answer in answers {
        match answer {
            Some(true) => return answer,
            Some(false) => {}
            None => all = None,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Fields;

    #[test]
    fn values_match_by_kind() {
        use ContentMatcher::*;
        let text = |text: &str| String(StringMatcher::exact(text));
        let list = Value::List(vec!["a".into(), Value::Number(2.0)]);
        let fields = Value::Struct(Fields::default());
        for (matcher, value, expect) in [
            (Null, Value::Null, Some(true)),
            (Null, false.into(), Some(false)),
            (Bool(true), true.into(), Some(true)),
            (Bool(true), false.into(), Some(false)),
            (Bool(true), "true".into(), Some(false)),
            (Range(1.0..2.0), Value::Number(1.0), Some(true)),
            (Range(1.0..2.0), Value::Number(2.0), Some(false)),
            (Number(2.0), Value::Number(2.0), Some(true)),
            (Number(2.0), Value::Number(f64::NAN), Some(false)),
            (Number(2.0), "2".into(), Some(false)),
            (text("a"), "a".into(), Some(true)),
            (text("a"), list.clone(), Some(false)),
            (Present, Value::Null, Some(true)),
            (Present, "".into(), Some(true)),
            (Present, list.clone(), None),
            (Present, fields.clone(), None),
            (OneOf(Box::new(text("a"))), list.clone(), Some(true)),
            (OneOf(Box::new(text("b"))), list.clone(), Some(false)),
            (OneOf(Box::new(text("a"))), "a".into(), Some(false)),
            (Any(vec![text("b"), OneOf(Box::new(Number(2.0)))]), list.clone(), Some(true)),
            (OneOf(Box::new(Present)), Value::List(vec![list.clone(), "a".into()]), Some(true)),
            (OneOf(Box::new(Present)), Value::List(vec![fields.clone()]), None),
            (Any(vec![Null, Present]), list.clone(), None),
            (Any(vec![Present, OneOf(Box::new(Present))]), list.clone(), Some(true)),
            (Any(vec![text("b"), Null]), fields, Some(false)),
        ] {
            assert_eq!(matcher.matches(&value), expect, "{matcher:?} {value:?}");
        }
    }

    #[test]
    fn an_absent_value_matches_only_inverted() {
        let matcher = |invert| MetadataMatcher {
            namespace: "jwt".into(),
            path: ["payload".into(), "sub".into()].into(),
            value: ContentMatcher::Present,
            invert,
        };
        let mut metadata = Metadata::default();
        assert_eq!([false, true].map(|i| matcher(i).matches(&metadata)), [Some(false), Some(true)]);
        let claims = Fields::from_iter([("sub", "me".into())]);
        let payload = Fields::from_iter([("payload", Value::Struct(claims))]);
        metadata.add("jwt", payload).unwrap();
        assert_eq!([false, true].map(|i| matcher(i).matches(&metadata)), [Some(true), Some(false)]);
    }
}
