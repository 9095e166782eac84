//! What is accepted and without effect: not wrong, and not what its writer expects.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustc_hash::FxHashMap;

use super::error::Origin;
use super::resources::FileResource;
use super::server;
use super::tree::Node;
use super::valid::snake_case;
use crate::graph::{Delta, Event, Graph, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;

/// Something about files that is not wrong, but probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The file or directory.
    pub file: Arc<Path>,
    /// The line, counted from one; `None` when the file itself is meant.
    pub line: Option<usize>,
    /// What kind of finding it is, if it is about security.
    pub lint: Option<Lint>,
    /// What is to be said.
    pub text: String,
}

/// Findings about security. Each has a name that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lint {
    /// A rule allows everything to everybody.
    AllowAll,
    /// A rule decides nothing, because another does before it.
    UnreachableRule,
    /// A server takes connections without TLS.
    PlaintextPermitted,
}

impl Lint {
    /// Its name, such as `allow-all`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowAll => "allow-all",
            Self::UnreachableRule => "unreachable-rule",
            Self::PlaintextPermitted => "plaintext-permitted",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)?;
        match self.lint {
            Some(lint) => write!(f, " [{}]", lint.name()),
            None => Ok(()),
        }
    }
}

/// What in `resource`, which was written as `node`, has no effect.
pub(super) fn of(resource: &FileResource, node: Option<&Node>) -> Vec<Note> {
    let Origin { file, line } = &resource.origin;
    let mut notes = Vec::new();
    if resource.is_authorization() || resource.is_break_glass() || resource.is_tenancy() {
        return notes;
    }
    if ResourceType::from_url(&resource.type_url).is_none() {
        let (_, name) = resource.type_url.rsplit_once('/').unwrap_or_default();
        let text = format!("{name} is accepted, but nothing uses it yet");
        notes.push(Note { file: file.clone(), line: Some(*line), lint: None, text });
        return notes;
    }
    if let Some(node) = node {
        fields(node, "", file, &mut notes);
    }
    for (lint, text) in server::lint(resource) {
        notes.push(Note { file: file.clone(), line: Some(*line), lint: Some(lint), text });
    }
    notes
}

/// Goes over a resource, whose depth the reader has bounded.
fn fields(node: &Node, parent: &str, file: &Arc<Path>, notes: &mut Vec<Note>) {
    for item in node.items().unwrap_or_default() {
        fields(item, parent, file, notes);
    }
    for entry in node.entries().unwrap_or_default() {
        let key = snake_case(&entry.key);
        let is_it = |(within, name): &&(&str, &str)| {
            *name == key && (within.is_empty() || *within == parent)
        };
        let is_for_servers = FOR_SERVERS.contains(&&*key) && !serves(node);
        if is_for_servers || INERT.iter().any(|inert| is_it(&inert)) {
            let text = format!("`{}` is accepted, but not acted on yet", entry.key);
            notes.push(Note { file: file.clone(), line: Some(entry.line), lint: None, text });
        }
        fields(&entry.value, &key, file, notes);
    }
}

/// Whether there is a route of a server in `node`.
fn serves(node: &Node) -> bool {
    let mut entries = node.entries().unwrap_or_default().iter();
    entries.any(|entry| snake_case(&entry.key) == "non_forwarding_action" || serves(&entry.value))
        || node.items().unwrap_or_default().iter().any(serves)
}

/// The resources that the listeners among `resources` lead to and that are not there.
pub(super) fn dangling(
    resources: &[FileResource],
    registry: &Registry,
) -> Vec<(ResourceType, ResourceName)> {
    let mut known = FxHashMap::default();
    let mut graph = Graph::new(registry.clone());
    let (mut deltas, mut missing) = (Vec::new(), BTreeSet::new());
    let now = SystemTime::UNIX_EPOCH;
    for resource in resources {
        let Some(kind) = ResourceType::from_url(&resource.type_url) else { continue };
        let Ok(name) = ResourceName::parse(kind, &resource.name) else { continue };
        known.insert((kind, name.clone()), resource.value.clone());
        if kind == ResourceType::Listener {
            deltas.push(graph.add_root(resource.name.as_str().into(), name, now).1);
        }
    }
    while let Some(Delta { added, .. }) = deltas.pop() {
        for (kind, name) in added {
            let key = (kind, name);
            let event = match known.get(&key) {
                Some(raw) => Event::Value { raw: raw.clone(), version: Arc::default() },
                None => {
                    missing.insert(key.clone());
                    Event::DoesNotExist("it is in no file".into())
                }
            };
            let events = vec![(key.1, event)];
            let update = Update { kind, fail_on_data_errors: true, events };
            deltas.push(graph.apply(update, now));
        }
    }
    missing.into_iter().collect()
}

/// Fields without effect, by the field that they stand in (empty for any).
const INERT: &[(&str, &str)] = &[
    ("", "cors"),
    ("", "hash_policy"),
    ("", "health_checks"),
    ("", "hedge_policy"),
    ("", "rate_limits"),
    ("", "request_mirror_policies"),
    ("", "retry_policy"),
    ("route", "auto_host_rewrite"),
    ("route", "host_rewrite_header"),
    ("route", "host_rewrite_literal"),
    ("route", "host_rewrite_path_regex"),
    ("route", "idle_timeout"),
    ("route", "prefix_rewrite"),
    ("route", "regex_rewrite"),
];

/// Fields that only servers act on.
const FOR_SERVERS: &[&str] = &[
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
];
