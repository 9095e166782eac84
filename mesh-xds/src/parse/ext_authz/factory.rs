//! The filter's factory.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    CheckSettings, ExtAuthz, ExtAuthzPerRoute,
};
use mesh_core::filter::{Factory, Filter, Settings as Any, Side};
use prost::Message;

use super::settings::{buffering, settings};
use crate::parse::{Path, Reject};
use crate::side::ext_authz::{Ask, BodyOnRoute, OnRoute, Settings};

/// Makes the filters that ask an authorization service. For servers only.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtAuthzFactory;

impl Factory for ExtAuthzFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
    }

    fn override_type_url(&self) -> Option<&str> {
        Some("type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute")
    }

    fn is_for(&self, side: Side) -> bool {
        side == Side::Server
    }

    fn parse(&self, message: &[u8]) -> Result<Any, String> {
        let message = ExtAuthz::decode(message).map_err(|why| why.to_string())?;
        let settings = settings(&message, &Path::root()).map_err(|why| why.to_string())?;
        Ok(Arc::new(settings))
    }

    fn parse_override(&self, message: &[u8]) -> Result<Any, String> {
        let message = ExtAuthzPerRoute::decode(message).map_err(|why| why.to_string())?;
        let on_route = match &message.r#override {
            Some(Override::Disabled(true)) => OnRoute { is_disabled: true, ..OnRoute::default() },
            Some(Override::Disabled(false)) => return Err("disabled: is false".into()),
            Some(Override::CheckSettings(message)) => {
                on_route(message, &Path::root().field("check_settings"))
                    .map_err(|why| why.to_string())?
            }
            None => return Err("has neither disabled nor check_settings".into()),
        };
        Ok(Arc::new(on_route))
    }

    fn clusters(&self, settings: &Any) -> Vec<Arc<str>> {
        let settings = settings.downcast_ref::<Settings>();
        settings.map(|settings| settings.cluster.clone()).into_iter().collect()
    }

    fn build(&self, base: &Any, overrides: &[Any]) -> Arc<dyn Filter> {
        // The parsers give nothing else. If they did, nothing would be let through.
        let settings = base.clone().downcast::<Settings>().ok();
        let on_route = overrides.iter().try_fold(OnRoute::default(), |wider, own| {
            let mut own = own.downcast_ref::<OnRoute>()?.clone();
            // Of all that is said, only these add up.
            for (key, value) in wider.extensions {
                own.extensions.entry(key).or_insert(value);
            }
            Some(own)
        });
        Arc::new(match on_route {
            Some(on_route) => Ask { settings, on_route },
            None => Ask { settings: None, on_route: OnRoute::default() },
        })
    }
}

fn on_route(message: &CheckSettings, path: &Path<'_>) -> Result<OnRoute, Reject> {
    let body = match (&message.with_request_body, message.disable_request_body_buffering) {
        (None, false) => BodyOnRoute::Same,
        (None, true) => BodyOnRoute::Hidden,
        (Some(own), false) => BodyOnRoute::Own(buffering(own, &path.field("with_request_body"))?),
        (Some(_), true) => {
            let why = "is beside disable_request_body_buffering";
            return Err(path.field("with_request_body").reject(why));
        }
    };
    if message.service_override.is_some() {
        return Err(path.reject("another service on a route is not supported"));
    }
    let extensions = message.context_extensions.clone().into_iter().collect();
    Ok(OnRoute { is_disabled: false, extensions, body })
}
