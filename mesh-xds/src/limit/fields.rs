//! Header fields that a configuration adds (Envoy's `HeaderValueOption`).

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::filter::HeaderChanges;

/// A header field to add.
#[derive(Clone, Debug)]
pub(crate) struct FieldOption {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
    pub(crate) mode: Mode,
}

/// What becomes of a field of that name that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It stays beside the new one.
    Append,
    /// The new one takes its place.
    Replace,
    /// It stays, and there is no new one.
    AddIfAbsent,
    /// The new one takes its place; without it there is no new one.
    ReplaceIfPresent,
}

impl FieldOption {
    /// Adds it to `headers`.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        let is_present = headers.contains_key(&self.name);
        // A map that is full, as no message can be, is left as it is.
        match (self.mode, is_present) {
            (Mode::Append, _) => {
                let _ = headers.try_append(&self.name, self.value.clone());
            }
            (Mode::Replace, _) | (Mode::AddIfAbsent, false) | (Mode::ReplaceIfPresent, true) => {
                let _ = headers.try_insert(&self.name, self.value.clone());
            }
            (Mode::AddIfAbsent, true) | (Mode::ReplaceIfPresent, false) => {}
        }
    }

    /// Adds it to a request whose header fields are `present`.
    pub(crate) fn of_request(&self, present: &HeaderMap, changes: &mut HeaderChanges) {
        let field = || (self.name.clone(), self.value.clone());
        match (self.mode, present.contains_key(&self.name)) {
            (Mode::Append, _) => changes.append.push(field()),
            (Mode::Replace, _) | (Mode::AddIfAbsent, false) | (Mode::ReplaceIfPresent, true) => {
                changes.set.push(field());
            }
            (Mode::AddIfAbsent, true) | (Mode::ReplaceIfPresent, false) => {}
        }
    }
}
