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
    /// Whether `metadata` has a value that matches.
    #[must_use]
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let value = metadata.find(&self.namespace, &self.path);
        value.is_some_and(|value| self.value.matches(value)) != self.invert
    }
}

/// A predicate on a value that is there (Envoy's `ValueMatcher`). Structs never match.
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
    /// It is anything but a list or a struct.
    Present,
    /// It is a list with a value that matches.
    OneOf(Box<ContentMatcher>),
    /// It matches one of these.
    Any(Vec<ContentMatcher>),
}

impl ContentMatcher {
    /// Whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any(matchers), value) => matchers.iter().any(|matcher| matcher.matches(value)),
            (Self::OneOf(matcher), Value::List(values)) => {
                values.iter().any(|value| matcher.matches(value))
            }
            (Self::Null, Value::Null) => true,
            (Self::Bool(expected), Value::Bool(value)) => expected == value,
            (Self::Range(range), Value::Number(number)) => range.contains(number),
            (Self::Number(expected), Value::Number(number)) => expected == number,
            (Self::String(matcher), Value::String(text)) => matcher.matches(text.as_bytes()),
            (Self::Present, value) => !matches!(value, Value::List(_) | Value::Struct(_)),
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
            ) => false,
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
            (Null, Value::Null, true),
            (Null, false.into(), false),
            (Bool(true), true.into(), true),
            (Bool(true), false.into(), false),
            (Bool(true), "true".into(), false),
            (Range(1.0..2.0), Value::Number(1.0), true),
            (Range(1.0..2.0), Value::Number(2.0), false),
            (Number(2.0), Value::Number(2.0), true),
            (Number(2.0), Value::Number(f64::NAN), false),
            (Number(2.0), "2".into(), false),
            (text("a"), "a".into(), true),
            (text("a"), list.clone(), false),
            (Present, Value::Null, true),
            (Present, "".into(), true),
            (Present, list.clone(), false),
            (Present, fields.clone(), false),
            (OneOf(Box::new(text("a"))), list.clone(), true),
            (OneOf(Box::new(text("b"))), list.clone(), false),
            (OneOf(Box::new(text("a"))), "a".into(), false),
            (Any(vec![text("b"), OneOf(Box::new(Number(2.0)))]), list, true),
            (Any(vec![text("b"), Null]), fields, false),
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
        assert_eq!([false, true].map(|i| matcher(i).matches(&metadata)), [false, true]);
        let claims = Fields::from_iter([("sub", "me".into())]);
        let payload = Fields::from_iter([("payload", Value::Struct(claims))]);
        metadata.add("jwt", payload).unwrap();
        assert_eq!([false, true].map(|i| matcher(i).matches(&metadata)), [true, false]);
    }
}
