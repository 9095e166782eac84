//! All policies of a set of files, as the resources that servers enforce.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;

use super::authorization::{Action, AuthorizationPolicy, Rule};
use super::peer::{self, PeerAuthentication};
use crate::file::error::Origin;
use crate::file::resources::FileResource;
use crate::file::short::{any, resource};

/// What the names of resources with local authorization begin with.
pub(in crate::file) const PREFIX: &str = "authorization/";

/// The resources that `policies` stand for: one for each action, with all its policies.
///
/// A request is allowed if no policy that denies matches it and, where there are policies that
/// allow, one of those does.
pub(super) fn compile(
    policies: &[AuthorizationPolicy],
    peers: &[PeerAuthentication],
) -> Vec<FileResource> {
    let mut policies = policies.to_vec();
    policies.extend(peer::denials(peers).into_iter().map(|(name, origin, policy)| {
        let rules = vec![Rule { name, origin: origin.clone(), policy }];
        AuthorizationPolicy { action: Action::Deny, dry_run: false, origin, rules }
    }));
    [Action::Deny, Action::Allow, Action::Audit]
        .into_iter()
        .filter_map(|action| filter(action, &policies))
        .collect()
}

fn filter(action: Action, policies: &[AuthorizationPolicy]) -> Option<FileResource> {
    let rules = |dry_run| {
        let ours =
            |policy: &&AuthorizationPolicy| policy.action == action && policy.dry_run == dry_run;
        ruleset(action, policies.iter().filter(ours))
    };
    let (enforced, shadow) = (rules(false), rules(true));
    let origin = enforced.as_ref().or(shadow.as_ref()).map(|(_, origin)| origin.clone())?;
    let shadow_prefix = match (&shadow, action) {
        (None, _) | (_, Action::Audit | Action::Custom) => "",
        (Some(_), Action::Deny) => "istio_dry_run_deny_",
        (Some(_), Action::Allow) => "istio_dry_run_allow_",
    };
    let filter = Rbac {
        rules: enforced.map(|(rules, _)| rules),
        shadow_rules: shadow.map(|(rules, _)| rules),
        shadow_rules_stat_prefix: shadow_prefix.to_owned(),
        ..Default::default()
    };
    let name = format!("{PREFIX}{}", word(action));
    let config = TypedExtensionConfig { name: name.clone(), typed_config: Some(any(&filter)) };
    Some(resource(name, origin, &config))
}

/// The rules of `policies`, and where the first is; `None` if there is no policy. Without a rule,
/// those that allow allow nothing.
fn ruleset<'p>(
    action: Action,
    policies: impl Iterator<Item = &'p AuthorizationPolicy>,
) -> Option<(pb::Rbac, Origin)> {
    let mut first = None;
    let mut rules = BTreeMap::new();
    for policy in policies {
        first.get_or_insert_with(|| policy.origin.clone());
        rules.extend(policy.rules.iter().map(|rule| (rule.name.clone(), rule.policy.clone())));
    }
    let action = match action {
        Action::Allow => pb::rbac::Action::Allow,
        Action::Deny | Action::Custom => pb::rbac::Action::Deny,
        Action::Audit => pb::rbac::Action::Log,
    };
    let policies = rules.into_iter().collect();
    Some((pb::Rbac { action: action.into(), policies, ..Default::default() }, first?))
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Deny => "deny",
        Action::Allow => "allow",
        Action::Audit => "audit",
        Action::Custom => "custom",
    }
}
