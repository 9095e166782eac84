//! The filter's factory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::per_route_config::RequirementSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, PerRouteConfig,
};
use mesh_core::filter::{Factory, Filter, Settings, Side};
use prost::Message;

use super::provider::provider;
use super::requirement::{Names, named, rules};
use crate::jwt::{Authenticate, Choice, KeySource, Remote, RemoteKeys, Rules};
use crate::parse::{Path, Reject};

/// Makes the filters that ask for tokens. For servers only.
///
/// Keys that filters fetch are kept here while one of them uses them, so that a new listener does
/// not begin without.
#[derive(Default)]
pub struct JwtFactory {
    remotes: Mutex<Vec<Weak<RemoteKeys>>>,
}

impl JwtFactory {
    fn remote(&self, remote: Remote) -> Arc<RemoteKeys> {
        // A list cannot be left half-changed here.
        let mut known = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|it| it.strong_count() > 0);
        let found = known.iter().filter_map(Weak::upgrade).find(|it| *it.remote() == remote);
        found.unwrap_or_else(|| {
            let new = RemoteKeys::new(remote);
            known.push(Arc::downgrade(&new));
            new
        })
    }

    fn rules(&self, message: &JwtAuthentication, path: &Path<'_>) -> Result<Rules, Reject> {
        if message.filter_state_rules.is_some() {
            return Err(path.field("filter_state_rules").reject("is not supported"));
        }
        let ordered: BTreeMap<_, _> = message.providers.iter().collect();
        let names = Names(ordered.keys().map(|name| name.as_str()).collect());
        let mut providers = Vec::with_capacity(ordered.len());
        for (name, message) in ordered {
            let fetch = |remote| self.remote(remote);
            providers.push(provider(message, &fetch, &path.entry("providers", name))?);
        }
        let named = named(&message.requirement_map, &names, path)?;
        Ok(Rules {
            rules: rules(&message.rules, &names, &named, path)?,
            providers,
            named,
            bypass_cors_preflight: message.bypass_cors_preflight,
            strip_failure_response: message.strip_failure_response,
        })
    }
}

impl fmt::Debug for JwtFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtFactory").finish_non_exhaustive()
    }
}

impl Factory for JwtFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    }

    fn override_type_url(&self) -> Option<&str> {
        Some("type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig")
    }

    fn is_for(&self, side: Side) -> bool {
        side == Side::Server
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let message = JwtAuthentication::decode(message).map_err(|why| why.to_string())?;
        let rules = self.rules(&message, &Path::root()).map_err(|why| why.to_string())?;
        Ok(Arc::new(rules))
    }

    fn parse_override(&self, message: &[u8]) -> Result<Settings, String> {
        let message = PerRouteConfig::decode(message).map_err(|why| why.to_string())?;
        Ok(Arc::new(match message.requirement_specifier {
            Some(RequirementSpecifier::Disabled(true)) => Choice::Disabled,
            Some(RequirementSpecifier::Disabled(false)) => return Err("disabled: is false".into()),
            Some(RequirementSpecifier::RequirementName(name)) if !name.is_empty() => {
                Choice::Named(name.into())
            }
            Some(RequirementSpecifier::RequirementName(_)) => {
                return Err("requirement_name: is empty".into());
            }
            None => return Err("has neither disabled nor requirement_name".into()),
        }))
    }

    fn clusters(&self, settings: &Settings) -> Vec<Arc<str>> {
        let providers = settings.downcast_ref::<Rules>().map(|rules| &rules.providers);
        let keys = providers.into_iter().flatten().map(|provider| &provider.keys);
        keys.filter_map(|keys| match keys {
            KeySource::Remote(remote) => Some(remote.remote().cluster.clone()),
            KeySource::Local(_) => None,
        })
        .collect()
    }

    fn build(&self, base: &Settings, overrides: &[Settings]) -> Arc<dyn Filter> {
        let choice = match overrides.last() {
            None => Choice::ByRules,
            Some(own) => own.downcast_ref::<Choice>().cloned().unwrap_or(Choice::Closed),
        };
        // The parsers give nothing else. If they did, nothing would be let through.
        let (rules, choice) = match base.clone().downcast::<Rules>() {
            Ok(rules) => (rules, choice),
            Err(_) => (Arc::default(), Choice::Closed),
        };
        Arc::new(Authenticate { rules, choice })
    }
}
