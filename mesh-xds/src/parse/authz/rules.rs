//! Policies under one action.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::config::rbac::v3::rbac;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use mesh_core::authz::{Action, Authorizer, Policy, Rules, Ruleset};

use super::permission::permission;
use super::principal::principal;
use super::scope::{Levels, Scope};
use super::tree;
use crate::parse::{Path, Reject};

/// The rules of a filter at `path`: those that are enforced, then those that are tried out, each as
/// policies or as a tree.
pub(super) fn authorizer(
    (rules, matcher): (Option<&pb::Rbac>, Option<&Matcher>),
    (shadow_rules, shadow_matcher): (Option<&pb::Rbac>, Option<&Matcher>),
    shadow_prefix: &str,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Authorizer, Reject> {
    let shadow = (("shadow_rules", shadow_rules), ("shadow_matcher", shadow_matcher));
    Ok(Authorizer {
        enforced: ruleset(("rules", rules), ("matcher", matcher), scope, path)?,
        shadow: ruleset(shadow.0, shadow.1, scope, path)?,
        shadow_prefix: shadow_prefix.into(),
    })
}

/// The rules in whichever of the two fields at `path` is set. Envoy and gRPC disagree about which
/// counts if both are.
fn ruleset(
    (rules_field, rules_message): (&str, Option<&pb::Rbac>),
    (matcher_field, matcher): (&str, Option<&Matcher>),
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Option<Ruleset>, Reject> {
    match (rules_message, matcher) {
        (None, None) => Ok(None),
        (Some(message), None) => {
            rules(message, scope, &path.field(rules_field)).map(Ruleset::Rules).map(Some)
        }
        (None, Some(message)) => {
            tree::tree(message, scope, &path.field(matcher_field)).map(Ruleset::Tree).map(Some)
        }
        (Some(_), Some(_)) => {
            let why = format_args!("is set beside {rules_field}");
            Err(path.field(matcher_field).reject(why))
        }
    }
}

fn rules(message: &pb::Rbac, scope: &Scope<'_>, path: &Path<'_>) -> Result<Rules, Reject> {
    let action = action(message.action, path)?;
    // In order, so that the same resource is always refused for the same reason.
    let mut messages: Vec<_> = message.policies.iter().collect();
    messages.sort_unstable_by_key(|(name, _)| *name);
    let mut policies = BTreeMap::new();
    for (name, message) in messages {
        let policy = policy(message, scope, &path.entry("policies", name))?;
        policies.insert(Arc::from(name.as_str()), policy);
    }
    let options = message.audit_logging_options.as_ref();
    let options =
        options.map(|it| scope.auditing.options(it, &path.field("audit_logging_options")));
    let (condition, loggers) = options.transpose()?.unwrap_or_default();
    let rules = Rules::new(action, policies).map_err(|why| path.field("policies").reject(why))?;
    Ok(rules.audit(condition).log_to(loggers))
}

/// The field `action` at `path`.
pub(super) fn action(action: i32, path: &Path<'_>) -> Result<Action, Reject> {
    match rbac::Action::try_from(action) {
        Ok(rbac::Action::Allow) => Ok(Action::Allow),
        Ok(rbac::Action::Deny) => Ok(Action::Deny),
        Ok(rbac::Action::Log) => Ok(Action::Log),
        Err(_) => Err(path.field("action").reject("is unknown")),
    }
}

fn policy(message: &pb::Policy, scope: &Scope<'_>, path: &Path<'_>) -> Result<Policy, Reject> {
    for (field, is_set) in [
        ("condition", message.condition.is_some()),
        ("checked_condition", message.checked_condition.is_some()),
    ] {
        if is_set {
            return Err(path.field(field).reject("is not supported"));
        }
    }
    for (field, is_empty) in [
        ("permissions", message.permissions.is_empty()),
        ("principals", message.principals.is_empty()),
    ] {
        if is_empty {
            return Err(path.field(field).reject("is empty"));
        }
    }
    let within = (scope, Levels::ALL);
    let what = |(at, one)| permission(one, within, &path.element("permissions", at));
    let who = |(at, one)| principal(one, within, &path.element("principals", at));
    Ok(Policy {
        permissions: message.permissions.iter().enumerate().map(what).collect::<Result<_, _>>()?,
        principals: message.principals.iter().enumerate().map(who).collect::<Result<_, _>>()?,
    })
}
