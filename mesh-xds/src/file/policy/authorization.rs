//! `AuthorizationPolicy`: who may do what.

use envoy_types::pb::envoy::config::rbac::v3 as pb;

use super::header::{Header, Selected, selects};
use super::list;
use super::operation::operation;
use super::source::{Place, source};
use super::term::Term;
use super::when::{When, when};
use crate::file::cursor::{Cursor, Fields};
use crate::file::error::{FileError, Origin, Why};
use crate::parse::Workload;

/// A policy that is for this workload, compiled.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationPolicy {
    pub(super) action: Action,
    pub(super) dry_run: bool,
    pub(super) origin: Origin,
    pub(super) rules: Vec<Rule>,
}

/// What a policy does to what one of its rules matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Deny,
    Allow,
    Audit,
    Custom,
}

/// One rule of a policy.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// What decisions call it.
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) policy: pb::Policy,
}

impl AuthorizationPolicy {
    /// The policy of `document` with these `fields`; `None` if it is for other workloads.
    pub(super) fn read(
        header: &Header,
        (document, fields): (&Cursor<'_>, &Fields<'_>),
        workload: &Workload,
    ) -> Result<Option<Self>, FileError> {
        // Istio takes one without a specification for one that allows nothing.
        let spec = fields.required("spec")?;
        let spec =
            spec.fields(&["selector", "action", "rules", "provider", "targetRef", "targetRefs"])?;
        for key in ["targetRef", "targetRefs"] {
            if let Some(target) = spec.entry(key) {
                let why = "is for gateways and waypoints: use `selector`".to_owned();
                return Err(target.fail_key(Why::Invalid(why)));
            }
        }
        let action = spec.entry("action").map_or(Ok(Action::Allow), |it| it.choice(ACTIONS))?;
        if action == Action::Custom {
            let at = spec.entry("action").unwrap_or_else(|| document.clone());
            return Err(
                at.invalid("CUSTOM asks an external service, which policies in files cannot")
            );
        }
        if let Some(provider) = spec.entry("provider") {
            let why = "goes with the action CUSTOM only".to_owned();
            return Err(provider.fail_key(Why::Invalid(why)));
        }
        let selected = selects(&spec, workload)?;
        let place = Place { workload, namespace: &header.namespace };
        let title = header.title();
        let rules = match spec.get("rules") {
            Some(rules) => read_rules(&rules, &title, place)?,
            None => Vec::new(),
        };
        if !header.is_within || selected == Selected::Another {
            return Ok(None);
        }
        let origin = document.origin();
        Ok(Some(Self { action, dry_run: header.dry_run, origin, rules }))
    }
}

fn read_rules(rules: &Cursor<'_>, title: &str, place: Place<'_>) -> Result<Vec<Rule>, FileError> {
    let mut read = Vec::new();
    for (at, cursor) in rules.items()?.iter().enumerate() {
        let (name, policy) = (format!("{title}-rule[{at}]"), rule(cursor, place)?);
        read.push(Rule { name, origin: cursor.origin(), policy });
    }
    Ok(read)
}

/// The rule at `cursor`. One without anything matches everything.
fn rule(cursor: &Cursor<'_>, place: Place<'_>) -> Result<pb::Policy, FileError> {
    let fields = cursor.fields(&["from", "to", "when"])?;
    let conditions = fields.entry("when").map(|it| when(&it, place)).transpose()?;
    let When { principals, permissions } = conditions.unwrap_or_default();
    let from = |source_at: &Cursor<'_>| source(source_at, place);
    Ok(pb::Policy {
        principals: alternatives(&fields, Part("from", "source"), &from, &principals)?,
        permissions: alternatives(&fields, Part("to", "operation"), &operation, &permissions)?,
        ..Default::default()
    })
}

/// The key of a list, and the only key of each of its items.
#[derive(Clone, Copy)]
struct Part(&'static str, &'static str);

/// What the items of a list say, one of which must hold, each together with `conditions`.
fn alternatives<'n, T: Term + Clone>(
    fields: &Fields<'n>,
    Part(list, key): Part,
    read: &dyn Fn(&Cursor<'n>) -> Result<T, FileError>,
    conditions: &[T],
) -> Result<Vec<T>, FileError> {
    let Some(items) = fields.entry(list) else { return Ok(vec![T::all(conditions.to_vec())]) };
    let one = |item: &Cursor<'n>| {
        let inner = item.fields(&[key])?.required(key)?;
        let mut terms = vec![read(&inner)?];
        terms.extend_from_slice(conditions);
        Ok(T::all(terms))
    };
    list::filled(&items)?.iter().map(one).collect()
}

const ACTIONS: &[(&str, Action)] = &[
    ("ALLOW", Action::Allow),
    ("DENY", Action::Deny),
    ("AUDIT", Action::Audit),
    ("CUSTOM", Action::Custom),
];
