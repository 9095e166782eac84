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

use super::Auditing;
use super::rules;
use super::scope::{Layer, Scope};
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject};

/// Makes filters of connections from Envoy's network RBAC.
#[derive(Clone, Debug, Default)]
pub struct NetworkRbacFactory {
    auditing: Auditing,
}

impl NetworkRbacFactory {
    /// Makes filters whose decisions are told as `auditing` says.
    #[must_use]
    pub fn new(auditing: Auditing) -> Self {
        Self { auditing }
    }
}

impl ConnectionFactory for NetworkRbacFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
    }

    fn build(&self, message: &[u8]) -> Result<Arc<dyn ConnectionFilter>, String> {
        let gate = gate(message, &self.auditing).map_err(|reject| reject.to_string())?;
        Ok(Arc::new(gate))
    }
}

/// Admits the peers that rules allow.
struct Gate {
    name: Box<str>,
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
        let judgement = self.rules.judge(&facts).by(&self.name);
        let recorded = self.rules.report(&judgement, &facts, self.observer.as_deref());
        let rule = match judgement.decision {
            Some(decision) if !decision.is_allowed() => decision.to_string(),
            Some(_) | None => match recorded {
                Ok(()) => return Ok(()),
                Err(why) => why.to_string(),
            },
        };
        Err(Denial { rule: rule.into(), hold: self.hold })
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The filter that a message describes. What it says of statistics is the name it goes by.
///
/// What is only known of requests is refused in them: header fields, paths and metadata.
/// `enforcement_type` makes no difference, as nothing of this changes while a connection lasts.
fn gate(message: &[u8], auditing: &Auditing) -> Result<Gate, Reject> {
    let path = &Path::root();
    let message = Rbac::decode(message).map_err(|why| path.reject(why))?;
    if message.stat_prefix.is_empty() {
        return Err(path.field("stat_prefix").reject("is empty"));
    }
    if EnforcementType::try_from(message.enforcement_type).is_err() {
        return Err(path.field("enforcement_type").reject("is unknown"));
    }
    let rules = rules::authorizer(
        (message.rules.as_ref(), message.matcher.as_ref()),
        (message.shadow_rules.as_ref(), message.shadow_matcher.as_ref()),
        &message.shadow_rules_stat_prefix,
        &Scope::new(Layer::Connections, auditing),
        path,
    )?;
    let hold = optional_duration(message.delay_deny, &path.field("delay_deny"))?;
    Ok(Gate {
        name: message.stat_prefix.into(),
        rules,
        hold: hold.unwrap_or_default(),
        observer: auditing.observer().cloned(),
    })
}
