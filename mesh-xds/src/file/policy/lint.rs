//! What is allowed to be written, and is probably not meant.

use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::config::rbac::v3::permission::Rule as Permitted;
use envoy_types::pb::envoy::config::rbac::v3::principal::Identifier;

use super::authorization::{Action, AuthorizationPolicy, Rule};
use crate::file::notes::{Lint, Note};

/// What is to be said of `policies`, none of which may be a dry run.
pub(super) fn lint(policies: &[AuthorizationPolicy]) -> Vec<Note> {
    let enforced = |action| {
        let ours = move |policy: &&AuthorizationPolicy| policy.action == action && !policy.dry_run;
        policies.iter().filter(ours).flat_map(|policy| &policy.rules).collect::<Vec<&Rule>>()
    };
    let (deny, allow) = (enforced(Action::Deny), enforced(Action::Allow));
    let mut notes = Vec::new();
    for (at, rule) in allow.iter().enumerate() {
        if is_everything(&rule.policy) {
            notes.push(note(rule, Lint::AllowAll, "allows everything to everybody"));
        }
        let before = allow.iter().take(at).find(|other| covers(&other.policy, &rule.policy));
        if let Some(other) = deny.iter().find(|other| covers(&other.policy, &rule.policy)) {
            let text = format!("allows only what {} denies", place(other));
            notes.push(note(rule, Lint::UnreachableRule, &text));
        } else if let Some(other) = before {
            let text = format!("allows only what {} allows", place(other));
            notes.push(note(rule, Lint::UnreachableRule, &text));
        }
    }
    for (at, rule) in deny.iter().enumerate() {
        if let Some(other) = deny.iter().take(at).find(|it| covers(&it.policy, &rule.policy)) {
            let text = format!("denies only what {} denies", place(other));
            notes.push(note(rule, Lint::UnreachableRule, &text));
        }
    }
    let idle =
        |policy: &&AuthorizationPolicy| policy.action != Action::Allow && policy.rules.is_empty();
    notes.extend(policies.iter().filter(idle).map(|policy| Note {
        file: policy.origin.file.clone(),
        line: Some(policy.origin.line),
        lint: Some(Lint::UnreachableRule),
        text: "without `rules` it matches nothing".to_owned(),
    }));
    notes
}

/// Whether `policy` matches everything.
pub(in crate::file) fn is_everything(policy: &pb::Policy) -> bool {
    policy.permissions.iter().any(is_any_permission)
        && policy.principals.iter().any(is_any_principal)
}

/// Whether `policy` matches all that `other` does, as far as that can be seen.
fn covers(policy: &pb::Policy, other: &pb::Policy) -> bool {
    let permitted = other.permissions.iter().all(|it| policy.permissions.contains(it));
    let known = other.principals.iter().all(|it| policy.principals.contains(it));
    (permitted || policy.permissions.iter().any(is_any_permission))
        && (known || policy.principals.iter().any(is_any_principal))
}

fn is_any_permission(permission: &pb::Permission) -> bool {
    permission.rule == Some(Permitted::Any(true))
}

fn is_any_principal(principal: &pb::Principal) -> bool {
    principal.identifier == Some(Identifier::Any(true))
}

fn note(rule: &Rule, lint: Lint, what: &str) -> Note {
    let text = format!("{} {what}", rule.name);
    Note { file: rule.origin.file.clone(), line: Some(rule.origin.line), lint: Some(lint), text }
}

fn place(rule: &Rule) -> String {
    format!("{} at {}", rule.name, rule.origin)
}
