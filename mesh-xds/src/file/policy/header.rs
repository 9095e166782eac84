//! What all policies begin with: `apiVersion`, `kind`, `metadata`, and whom they select.

use crate::file::cursor::{Cursor, Fields};
use crate::file::error::{FileError, Why};
use crate::file::tree::Node;
use crate::parse::Workload;

/// What a document with `apiVersion` and `kind` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AuthorizationPolicy,
    PeerAuthentication,
    BreakGlass,
    /// `items`, as `kubectl get` prints them.
    List,
}

/// The head of a policy.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: String,
    /// `istio.io/dry-run`: it is evaluated, and not enforced.
    pub(super) dry_run: bool,
    /// Whether the workload can be one that it is for, by its namespace.
    pub(super) is_within: bool,
}

/// Whether `node` says what kind it is, as policies do.
pub(in crate::file) fn is_policy(node: &Node) -> bool {
    node.field("@type").is_none() && node.field("apiVersion").or(node.field("kind")).is_some()
}

/// The kind of `document`.
pub(super) fn kind<'n>(document: &Cursor<'n>) -> Result<(Kind, Fields<'n>), FileError> {
    let known = ["apiVersion", "kind", "metadata", "spec", "status", "items"];
    let fields = document.fields(&known)?;
    let version = fields.required("apiVersion")?;
    let kind = fields.required("kind")?;
    if (version.text()?, kind.text()?) == ("v1", "List") {
        return Ok((Kind::List, fields));
    }
    if !VERSIONS.contains(&version.text()?) {
        let name = version.text()?.to_owned();
        let names = VERSIONS.iter().map(|it| (*it).to_owned());
        let suggestion = crate::file::diagnose::similar(&name, names);
        return Err(version.fail(Why::UnknownValue { name, suggestion }));
    }
    let found = kind.choice(KINDS)?;
    if found == Kind::BreakGlass && version.text()? != OWN {
        return Err(version.invalid(format!("a BreakGlass is of the group `{OWN}`")));
    }
    let kind = found;
    if let Some(items) = fields.entry("items") {
        return Err(items.fail_key(Why::Invalid("only a list has `items`".to_owned())));
    }
    Ok((kind, fields))
}

impl Header {
    /// The head of the policy with these `fields`.
    pub(super) fn read(
        kind: Kind,
        fields: &Fields<'_>,
        workload: &Workload,
    ) -> Result<Self, FileError> {
        let metadata = fields.required("metadata")?;
        let metadata = metadata.fields(METADATA)?;
        let name = super::text::filled(&metadata.required("name")?)?.to_owned();
        let namespace = metadata.entry("namespace");
        let is_within = namespace.as_ref().map_or(Ok(true), |it| is_within(it, workload))?;
        let namespace = match &namespace {
            Some(namespace) => namespace.text()?.to_owned(),
            None => workload.namespace().to_owned(),
        };
        let dry_run = metadata.get("annotations").map_or(Ok(false), |it| dry_run(&it))?;
        Ok(Self { kind, name, namespace, dry_run, is_within })
    }

    /// What decisions call it.
    pub(super) fn title(&self) -> String {
        format!("ns[{}]-policy[{}]", self.namespace, self.name)
    }

    /// What decisions call one that asks for TLS.
    pub(super) fn peer_title(&self) -> String {
        format!("ns[{}]-peer[{}]", self.namespace, self.name)
    }
}

/// Whether a policy in the namespace at `cursor` can be for `workload`. Where that is not known, to
/// skip it might let in what it denies, and to take it, what it allows elsewhere.
fn is_within(cursor: &Cursor<'_>, workload: &Workload) -> Result<bool, FileError> {
    let within = workload.is_within(super::text::filled(cursor)?);
    within.ok_or_else(|| {
        cursor.invalid("the namespace of this workload is not known: `workload` says it")
    })
}

/// Whether `workload` has the label `key` with the value at `cursor`.
fn has_label(key: &str, cursor: &Cursor<'_>, workload: &Workload) -> Result<bool, FileError> {
    let value = cursor.text()?;
    if key.contains('*') || value.contains('*') {
        return Err(cursor.invalid("labels are compared as they are, without `*`"));
    }
    workload.has_label(key, value).ok_or_else(|| {
        cursor.invalid("the labels of this workload are not known: `workload` says them")
    })
}

fn dry_run(annotations: &Cursor<'_>) -> Result<bool, FileError> {
    for (key, value) in annotations.entries()? {
        if key == DRY_RUN {
            return value.choice(&[("true", true), ("false", false)]);
        }
    }
    Ok(false)
}

/// Whether `selector`, if it is there, selects the workload. One that is empty selects all.
pub(super) fn selects(spec: &Fields<'_>, workload: &Workload) -> Result<Selected, FileError> {
    let Some(selector) = spec.entry("selector") else { return Ok(Selected::Everything) };
    let fields = selector.fields(&["matchLabels"])?;
    let Some(labels) = fields.entry("matchLabels") else { return Ok(Selected::Everything) };
    let labels = labels.entries()?;
    if labels.is_empty() {
        return Ok(Selected::Everything);
    }
    let mut selected = Selected::This;
    for (key, value) in labels {
        if !has_label(key, &value, workload)? {
            selected = Selected::Another;
        }
    }
    Ok(selected)
}

/// Whom a selector selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// All workloads of its namespace.
    Everything,
    /// Some, and this workload is one of them.
    This,
    /// Some, and this workload is none of them.
    Another,
}

const OWN: &str = "security.mesh.io/v1beta1";
const VERSIONS: &[&str] = &["security.istio.io/v1", "security.istio.io/v1beta1", OWN];
const KINDS: &[(&str, Kind)] = &[
    ("AuthorizationPolicy", Kind::AuthorizationPolicy),
    ("PeerAuthentication", Kind::PeerAuthentication),
    ("BreakGlass", Kind::BreakGlass),
];
const DRY_RUN: &str = "istio.io/dry-run";
/// Those that people write, and those that `kubectl get` prints.
const METADATA: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
