//! What an authorization service changes about requests and responses.

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::filter::{HeaderChanges, is_writable};
use mesh_core::metadata::Fields;

/// Changes of an answer at the most.
const MOST: usize = 128;

/// How a request passes that may.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    /// Of the request.
    pub(super) request: Changes,
    /// Of the response.
    pub(super) response: Changes,
    /// For metadata.
    pub(super) notes: Fields,
}

/// Changes of header fields, in the order they are made.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(super) all: Vec<Change>,
    /// What cannot be done: names that are none, values that are none, fields not to be written.
    pub(super) invalid: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) enum Change {
    Remove(HeaderName),
    Set(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
    /// Only where there is none yet.
    SetIfAbsent(HeaderName, HeaderValue),
    /// Only where there is one.
    SetIfPresent(HeaderName, HeaderValue),
}

impl Change {
    fn name(&self) -> &HeaderName {
        match self {
            Self::Remove(name)
            | Self::Set(name, _)
            | Self::Append(name, _)
            | Self::SetIfAbsent(name, _)
            | Self::SetIfPresent(name, _) => name,
        }
    }
}

impl Changes {
    /// Adds what `make` makes of a field, if the field may be written.
    pub(super) fn add(
        &mut self,
        name: &str,
        value: &[u8],
        make: fn(HeaderName, HeaderValue) -> Change,
    ) {
        let parsed = HeaderName::try_from(name).ok().filter(is_writable);
        let field = parsed.and_then(|name| Some((name, HeaderValue::from_bytes(value).ok()?)));
        match field.filter(|_| self.all.len() < MOST) {
            Some((name, value)) => self.all.push(make(name, value)),
            None => self.refuse(name),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        match HeaderName::try_from(name).ok().filter(is_writable) {
            Some(name) if self.all.len() < MOST => self.all.push(Change::Remove(name)),
            Some(_) => self.refuse(name),
            // As in Envoy, whom a request is for is never taken out of it, which is no error.
            None => {}
        }
    }

    fn refuse(&mut self, name: &str) {
        // Goes to logs.
        self.invalid.get_or_insert_with(|| name.chars().take(64).collect::<String>().into());
    }

    /// Makes them on the header fields of a request, which are `present`. As in Envoy, what is
    /// removed stays away, even if it is written, too.
    pub(super) fn of_request(mut self, present: &HeaderMap, changes: &mut HeaderChanges) {
        let removed = self.all.iter().filter_map(|change| match change {
            Change::Remove(name) => Some(name.clone()),
            Change::Set(..)
            | Change::Append(..)
            | Change::SetIfAbsent(..)
            | Change::SetIfPresent(..) => None,
        });
        let removed: Vec<HeaderName> = removed.collect();
        self.all.retain(|change| !removed.contains(change.name()));
        changes.remove.extend(removed);
        for change in self.all {
            match change {
                Change::Remove(_) => {}
                Change::Set(name, value) => changes.set.push((name, value)),
                Change::Append(name, value) => changes.append.push((name, value)),
                Change::SetIfAbsent(name, value) if !present.contains_key(&name) => {
                    changes.set.push((name, value));
                }
                Change::SetIfPresent(name, value) if present.contains_key(&name) => {
                    changes.set.push((name, value));
                }
                Change::SetIfAbsent(..) | Change::SetIfPresent(..) => {}
            }
        }
    }

    /// Makes them on the header fields of a response.
    pub(super) fn of_response(&self, headers: &mut HeaderMap) {
        for change in &self.all {
            // A map that is full, as no message can be, is left as it is.
            match change {
                Change::Remove(name) => {
                    headers.remove(name);
                }
                Change::Set(name, value) => {
                    let _ = headers.try_insert(name, value.clone());
                }
                Change::Append(name, value) => {
                    let _ = headers.try_append(name, value.clone());
                }
                Change::SetIfAbsent(name, value) if !headers.contains_key(name) => {
                    let _ = headers.try_insert(name, value.clone());
                }
                Change::SetIfPresent(name, value) if headers.contains_key(name) => {
                    let _ = headers.try_insert(name, value.clone());
                }
                Change::SetIfAbsent(..) | Change::SetIfPresent(..) => {}
            }
        }
    }
}
