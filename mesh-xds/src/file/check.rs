//! Everything there is to say about files, for people.

use std::collections::BTreeMap;
use std::path::Path;
#[cfg(feature = "ads")]
use std::sync::Arc;

use super::error::{FileError, Origin};
use super::notes::{self, Note};
use super::resources::{FileResource, contents};
use super::set::Set;
use crate::parse::Registry;

/// What [`check()`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The resources that are in order.
    pub resources: Vec<FileResource>,
    /// What is wrong, in the order of the files: at most one of each resource of the long form, and
    /// of each part of a service of the short form.
    pub errors: Vec<FileError>,
    /// What has no effect, or leads nowhere.
    pub notes: Vec<Note>,
    /// Where the rules of policies are, by the names that decisions call them.
    pub rules: BTreeMap<String, Origin>,
}

/// Reads the resources of a file or directory and says all that is wrong with them: what
/// [`read()`](super::read()) refuses, and what is not valid where the filters of `registry` are
/// known.
#[must_use]
pub fn check(path: &Path, registry: &Registry) -> Report {
    let contents = match contents(path) {
        Ok(contents) => contents,
        Err(error) => return Report { errors: vec![error], ..Report::default() },
    };
    #[cfg(feature = "ads")]
    let registry = &registry.clone().secrets(Arc::new(crate::identity::Secrets::default()));
    let Set { resources, errors, mut notes, rules, .. } = Set::of(&contents, Some(registry));
    // With an error, what is missing may be what is wrong.
    if errors.is_empty() {
        for (kind, name) in notes::dangling(&resources, registry) {
            let text = format!("{} `{name}` is referred to, and in no file", kind.message_name());
            notes.push(Note { file: path.into(), line: None, lint: None, text });
        }
    }
    Report { resources, errors, notes, rules }
}
