//! Rules that judge connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::rbac::EnforcementType;
use mesh_core::authz::{Authorizer, Facts, Observer};
use mesh_core::filter::{ConnectionFactory, ConnectionFilter, Denial};
use mesh_core::identity::Peer;
use prost::Message;

use super::rules::ruleset;
use super::scope::{Layer, Scope};
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject};

/// Makes filters of connections from Envoy's network RBAC.
#[derive(Clone, Default)]
pub struct NetworkRbacFactory {
    observer: Option<Arc<dyn Observer>>,
}

impl NetworkRbacFactory {
    /// A factory whose filters tell `observer` of all they decide.
    #[must_use]
    pub fn observed(observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer) }
    }
}

impl fmt::Debug for NetworkRbacFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkRbacFactory").finish_non_exhaustive()
    }
}

impl ConnectionFactory for NetworkRbacFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
    }

    fn build(&self, message: &[u8]) -> Result<Arc<dyn ConnectionFilter>, String> {
        let (rules, hold) = rules(message).map_err(|reject| reject.to_string())?;
        Ok(Arc::new(Gate { rules, hold, observer: self.observer.clone() }))
    }
}

/// Admits the peers that rules allow.
struct Gate {
    rules: Authorizer,
    hold: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl ConnectionFilter for Gate {
    fn admit(&self, peer: &Peer) -> Result<(), Denial> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let facts = Facts::connection(peer);
        let judgement = self.rules.judge(&facts);
        if let Some(observer) = &self.observer {
            observer.judged(&judgement, &facts);
        }
        match judgement.decision {
            Some(decision) if !decision.is_allowed() => {
                Err(Denial { rule: decision.to_string().into(), hold: self.hold })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The rules in a message, and how long a connection that they deny is held.
///
/// What is only known of requests is refused in them: header fields, paths and metadata.
/// `enforcement_type` makes no difference, as nothing of this changes while a connection lasts.
fn rules(message: &[u8]) -> Result<(Authorizer, Duration), Reject> {
    let path = &Path::root();
    let message = Rbac::decode(message).map_err(|why| path.reject(why))?;
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
    let hold = optional_duration(message.delay_deny, &path.field("delay_deny"))?;
    Ok((Authorizer { enforced, shadow, shadow_prefix }, hold.unwrap_or_default()))
}
