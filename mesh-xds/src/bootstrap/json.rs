//! Reading JSON values with their path, so that every error says where.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{BootstrapError, Fault};

/// A JSON value and where it stands.
#[derive(Debug)]
pub(super) struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// The error that this value is at `fault`.
    pub(super) fn error(&self, fault: impl Into<Fault>) -> BootstrapError {
        let path = if self.path.is_empty() { "bootstrap" } else { &self.path };
        BootstrapError::Field { path: path.to_owned(), fault: fault.into() }
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, BootstrapError> {
        self.value.as_object().ok_or_else(|| self.error(Fault::Expected("an object")))
    }

    pub(super) fn string(&self) -> Result<&'a str, BootstrapError> {
        self.value.as_str().ok_or_else(|| self.error(Fault::Expected("a string")))
    }

    pub(super) fn bool(&self) -> Result<bool, BootstrapError> {
        self.value.as_bool().ok_or_else(|| self.error(Fault::Expected("true or false")))
    }

    /// The elements of an array.
    pub(super) fn elements(&self) -> Result<Vec<Self>, BootstrapError> {
        let array = self.value.as_array().ok_or_else(|| self.error(Fault::Expected("an array")))?;
        let element = |(index, value)| Self { path: format!("{}[{index}]", self.path), value };
        Ok(array.iter().enumerate().map(element).collect())
    }

    /// A duration as protobuf writes it in JSON: decimal seconds and an `s`. Above zero.
    pub(super) fn duration(&self) -> Result<Duration, BootstrapError> {
        seconds(self.string()?).ok_or_else(|| self.error(Fault::Duration))
    }

    /// The member `key`; `null` counts as absent, as it does in protobuf's JSON.
    pub(super) fn optional(&self, key: &str) -> Option<Self> {
        match self.value.get(key) {
            None | Some(Value::Null) => None,
            Some(value) => Some(Self { path: self.join(key), value }),
        }
    }

    /// The member `key`, which must be there.
    pub(super) fn required(&self, key: &str) -> Result<Self, BootstrapError> {
        self.object()?;
        let missing = || BootstrapError::Field { path: self.join(key), fault: Fault::Missing };
        self.optional(key).ok_or_else(missing)
    }

    /// The string member `key`, or the empty string.
    pub(super) fn text(&self, key: &str) -> Result<String, BootstrapError> {
        self.optional(key).map_or(Ok(String::new()), |field| Ok(field.string()?.to_owned()))
    }

    /// The path in member `key`; an empty one counts as absent.
    pub(super) fn file(&self, key: &str) -> Result<Option<PathBuf>, BootstrapError> {
        Ok(Some(self.text(key)?).filter(|path| !path.is_empty()).map(PathBuf::from))
    }

    /// The members of the object member `key`; none if it is absent.
    pub(super) fn entries(&self, key: &str) -> Result<Vec<(&'a str, Self)>, BootstrapError> {
        let Some(map) = self.optional(key) else { return Ok(Vec::new()) };
        let entry =
            |(name, value): (&'a String, _)| (name.as_str(), Self { path: map.join(name), value });
        Ok(map.object()?.iter().map(entry).collect())
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text.strip_suffix('s')?, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let duration = Duration::new(whole.parse().ok()?, format!("{fraction:0<9}").parse().ok()?);
    // Protobuf durations end at 10 000 years, which also keeps sums with an instant in range.
    let range = Duration::from_nanos(1)..=Duration::from_secs(315_576_000_000);
    range.contains(&duration).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_decimal_seconds() {
        for (text, expect) in [
            ("600s", Some(Duration::from_secs(600))),
            ("1.5s", Some(Duration::from_millis(1_500))),
            ("0.000000001s", Some(Duration::from_nanos(1))),
            ("315576000000s", Some(Duration::from_secs(315_576_000_000))),
            ("315576000001s", None),
            ("0.0000000001s", None),
            ("0s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.s", None),
            ("s", None),
            ("10m", None),
            ("10", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expect, "{text}");
        }
    }
}
