//! Rules that judge connections.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::rbac::EnforcementType;
use mesh_core::authz::Authorizer;
use prost::Message;

use super::rules::ruleset;
use super::scope::{Layer, Scope};
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject};

/// Rules that judge a connection once, after its handshake (Envoy's `envoy.filters.network.rbac`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionRules {
    /// The rules.
    pub rules: Arc<Authorizer>,
    /// How long a connection that is denied is held before it is closed (`delay_deny`).
    pub delay_deny: Option<Duration>,
}

/// The rules in the message `raw` of a network filter at `path`.
///
/// What is only known of requests is refused in them: header fields, paths and metadata.
/// `enforcement_type` makes no difference, as nothing of this changes while a connection lasts.
///
/// # Errors
/// [`Reject`] with the path of what is not understood.
pub fn connection(raw: &[u8], path: &Path<'_>) -> Result<ConnectionRules, Reject> {
    let message = Rbac::decode(raw).map_err(|why| path.reject(why))?;
    if message.stat_prefix.is_empty() {
        return Err(path.field("stat_prefix").reject("is empty"));
    }
    if EnforcementType::try_from(message.enforcement_type).is_err() {
        return Err(path.field("enforcement_type").reject("is unknown"));
    }
    let scope = Scope::new(Layer::Connections);
    let enforced = ruleset(
        ("rules", message.rules.as_ref()),
        ("matcher", message.matcher.as_ref()),
        &scope,
        path,
    )?;
    let shadow = ruleset(
        ("shadow_rules", message.shadow_rules.as_ref()),
        ("shadow_matcher", message.shadow_matcher.as_ref()),
        &scope,
        path,
    )?;
    let shadow_prefix = message.shadow_rules_stat_prefix.as_str().into();
    Ok(ConnectionRules {
        rules: Arc::new(Authorizer { enforced, shadow, shadow_prefix }),
        delay_deny: optional_duration(message.delay_deny, &path.field("delay_deny"))?,
    })
}
