//! The filter that judges requests.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::{Rbac, RbacPerRoute};
use mesh_core::authz::Authorizer;
use mesh_core::filter::{Authorize, Factory, Filter, Settings, Side};
use prost::Message;

use super::Auditing;
use super::rules;
use super::scope::{Layer, Scope};
use crate::parse::{Path, Reject};

/// Makes the filters that judge requests (Envoy's `envoy.filters.http.rbac`, gRFC A41).
///
/// For servers only. A route replaces all of the listener's rules, or, with an empty
/// `RBACPerRoute`, switches them off.
#[derive(Clone, Debug, Default)]
pub struct RbacFactory {
    auditing: Auditing,
}

impl RbacFactory {
    /// Makes filters whose decisions are told as `auditing` says.
    #[must_use]
    pub fn new(auditing: Auditing) -> Self {
        Self { auditing }
    }

    fn settings(&self, message: Option<&Rbac>, path: &Path<'_>) -> Result<Settings, String> {
        let rules = message.map(|message| authorizer(message, &self.auditing, path)).transpose();
        let rules = rules.map_err(|reject| reject.to_string())?;
        Ok(Arc::new(rules.unwrap_or_default()))
    }
}

impl Factory for RbacFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
    }

    fn override_type_url(&self) -> Option<&str> {
        Some("type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute")
    }

    fn is_for(&self, side: Side) -> bool {
        side == Side::Server
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let rules = Rbac::decode(message).map_err(|why| why.to_string())?;
        self.settings(Some(&rules), &Path::root())
    }

    fn parse_override(&self, message: &[u8]) -> Result<Settings, String> {
        let message = RbacPerRoute::decode(message).map_err(|why| why.to_string())?;
        self.settings(message.rbac.as_ref(), &Path::root().field("rbac"))
    }

    fn build(&self, base: &Settings, overrides: &[Settings]) -> Arc<dyn Filter> {
        self.build_named(&Arc::default(), base, overrides)
    }

    fn build_named(
        &self,
        name: &Arc<str>,
        base: &Settings,
        overrides: &[Settings],
    ) -> Arc<dyn Filter> {
        let settings = overrides.last().unwrap_or(base);
        let rules = settings.clone().downcast::<Authorizer>();
        // Both parsers give nothing else. If they did, nothing would be let through.
        let rules = rules.unwrap_or_else(|_| Arc::new(Authorizer::closed()));
        Arc::new(Authorize::new(rules, self.auditing.observer().cloned()).named(name.clone()))
    }
}

fn authorizer(message: &Rbac, auditing: &Auditing, path: &Path<'_>) -> Result<Authorizer, Reject> {
    rules::authorizer(
        (message.rules.as_ref(), message.matcher.as_ref()),
        (message.shadow_rules.as_ref(), message.shadow_matcher.as_ref()),
        &message.shadow_rules_stat_prefix,
        &Scope::new(Layer::Requests, auditing),
        path,
    )
}
