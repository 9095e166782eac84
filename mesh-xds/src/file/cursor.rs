//! A value that is written by hand, with the way to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::file::diagnose::{push_field, similar};
use crate::file::error::{FileError, Origin, Why};
use crate::file::tree::{Node, Value};

/// Where a reader is. Knows enough to say what is wrong there.
#[derive(Clone, Debug)]
pub(in crate::file) struct Cursor<'n> {
    file: &'n Arc<Path>,
    node: &'n Node,
    /// Line and column of the key of this value, or of the value where it has none.
    key: (usize, usize),
    path: String,
}

impl<'n> Cursor<'n> {
    pub(in crate::file) fn root(node: &'n Node, file: &'n Arc<Path>) -> Self {
        Self { file, node, key: (node.line, node.column), path: String::new() }
    }

    pub(in crate::file) fn origin(&self) -> Origin {
        Origin { file: Arc::clone(self.file), line: self.key.0 }
    }

    /// Says `why` the value is wrong.
    pub(in crate::file) fn fail(&self, why: Why) -> FileError {
        self.fail_at((self.node.line, self.node.column), why)
    }

    /// Says `why` the key of the value is wrong.
    pub(in crate::file) fn fail_key(&self, why: Why) -> FileError {
        self.fail_at(self.key, why)
    }

    fn fail_at(&self, (line, column): (usize, usize), why: Why) -> FileError {
        let error = FileError::new(Arc::clone(self.file), Some(line), why);
        error.at_column(column).at_path(self.path.clone())
    }

    pub(in crate::file) fn invalid(&self, why: impl Into<String>) -> FileError {
        self.fail(Why::Invalid(why.into()))
    }

    pub(in crate::file) fn mismatch(&self, expected: &str) -> FileError {
        let found = self.node.describe();
        self.fail(Why::Mismatch { expected: expected.to_owned(), found })
    }

    pub(in crate::file) fn is_text(&self) -> bool {
        self.node.text().is_some()
    }

    pub(in crate::file) fn is_list(&self) -> bool {
        self.node.items().is_some()
    }

    pub(in crate::file) fn text(&self) -> Result<&'n str, FileError> {
        let unquoted = matches!(
            self.node.value,
            Value::Bool(_) | Value::Signed(_) | Value::Unsigned(_) | Value::Float(_)
        );
        let expected = if unquoted { "a string, which takes quotes here" } else { "a string" };
        self.node.text().ok_or_else(|| self.mismatch(expected))
    }

    pub(in crate::file) fn flag(&self) -> Result<bool, FileError> {
        let Value::Bool(value) = self.node.value else {
            return Err(self.mismatch("true or false"));
        };
        Ok(value)
    }

    /// A whole number up to `max`.
    pub(in crate::file) fn number(&self, max: u32) -> Result<u32, FileError> {
        let mismatch = || self.mismatch(&format!("a number from 0 to {max}"));
        let Value::Unsigned(value) = self.node.value else { return Err(mismatch()) };
        u32::try_from(value).ok().filter(|value| *value <= max).ok_or_else(mismatch)
    }

    /// A number and a unit, such as `500ms`.
    pub(in crate::file) fn duration(&self) -> Result<Duration, FileError> {
        let mismatch = || self.mismatch("a duration such as `500ms`, `2s` or `1m`");
        let text = self.node.text().ok_or_else(mismatch)?;
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(mismatch)?;
        let (number, unit) = text.split_at(split);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(mismatch()),
        };
        // Rust also reads `inf`, signs and exponents, which nobody means here.
        if !number.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
            return Err(mismatch());
        }
        let number: f64 = number.parse().map_err(|_| mismatch())?;
        let duration = Duration::try_from_secs_f64(number * seconds).map_err(|_| mismatch())?;
        if duration > MAX_DURATION {
            return Err(self.invalid("longer than a year"));
        }
        Ok(duration)
    }

    /// The one of `choices` that the text names.
    pub(in crate::file) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, FileError> {
        let name = self.text()?;
        let found = choices.iter().find(|(choice, _)| *choice == name).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names = choices.iter().map(|(choice, _)| (*choice).to_owned());
            let suggestion = similar(name, names.clone());
            if suggestion.is_some() {
                return self.fail(Why::UnknownValue { name: name.to_owned(), suggestion });
            }
            let names: Vec<String> = names.collect();
            self.mismatch(&format!("one of {}", names.join(", ")))
        })
    }

    pub(in crate::file) fn items(&self) -> Result<Vec<Self>, FileError> {
        let items = self.node.items().ok_or_else(|| self.mismatch("a list"))?;
        let item = |(at, node): (usize, &'n Node)| Self {
            file: self.file,
            node,
            key: (node.line, node.column),
            path: format!("{}[{at}]", self.path),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The entries of a mapping whose keys are the writer's.
    pub(in crate::file) fn entries(&self) -> Result<Vec<(&'n str, Self)>, FileError> {
        let entries = self.node.entries().ok_or_else(|| self.mismatch("a mapping"))?;
        let below = |entry: &'n crate::file::tree::Entry| {
            let mut path = self.path.clone();
            push_field(&mut path, &entry.key);
            let key = (entry.line, entry.column);
            (entry.key.as_str(), Self { file: self.file, node: &entry.value, key, path })
        };
        Ok(entries.iter().map(below).collect())
    }

    /// The entries of a mapping that has no keys but those in `known`.
    pub(in crate::file) fn fields(&self, known: &[&str]) -> Result<Fields<'n>, FileError> {
        let entries = self.entries()?;
        for (key, entry) in &entries {
            if !known.contains(key) {
                let suggestion = similar(key, known.iter().map(|name| (*name).to_owned()));
                let why = Why::UnknownField { name: (*key).to_owned(), suggestion };
                // The path is that of the mapping, which has no such field.
                return Err(entry.fail_key(why).at_path(self.path.clone()));
            }
        }
        Ok(Fields { at: self.clone(), entries })
    }
}

/// The entries of a mapping with known keys.
#[derive(Debug)]
pub(in crate::file) struct Fields<'n> {
    at: Cursor<'n>,
    entries: Vec<(&'n str, Cursor<'n>)>,
}

impl<'n> Fields<'n> {
    /// The value of `key`; one that is left empty is none.
    pub(in crate::file) fn get(&self, key: &str) -> Option<Cursor<'n>> {
        let mut entries = self.entries.iter().filter(|(_, value)| value.node.value != Value::Null);
        entries.find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    pub(in crate::file) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`, also one that is left empty: what narrows a policy may not vanish.
    pub(in crate::file) fn entry(&self, key: &str) -> Option<Cursor<'n>> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    pub(in crate::file) fn required(&self, key: &'static str) -> Result<Cursor<'n>, FileError> {
        self.get(key).ok_or_else(|| self.at.fail_key(Why::MissingName(key)))
    }

    /// The one of `keys` that is there, if any is.
    ///
    /// # Errors
    /// When there are two of them.
    pub(in crate::file) fn one_of(
        &self,
        keys: &[&'static str],
    ) -> Result<Option<(&'static str, Cursor<'n>)>, FileError> {
        let mut found = keys.iter().filter_map(|key| self.get(key).map(|value| (*key, value)));
        let first = found.next();
        if let (Some((first, _)), Some((second, value))) = (&first, found.next()) {
            let why = format!("`{second}` and `{first}` exclude each other");
            return Err(value.fail_key(Why::Invalid(why)));
        }
        Ok(first)
    }
}

const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);
