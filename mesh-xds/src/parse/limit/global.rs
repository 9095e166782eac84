//! `RateLimit` (the filter) to the one that asks a rate limit service.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::grpc_service::TargetSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    ApiVersion, GrpcService, HeaderValue as Field, RuntimeFractionalPercent,
};
use envoy_types::pb::envoy::config::ratelimit::v3::RateLimitServiceConfig;
use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3::rate_limit::XRateLimitHeadersRfcVersion;
use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3::rate_limit_per_route::VhRateLimitsOptions;
use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3::{
    RateLimit, RateLimitPerRoute,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use mesh_core::filter::{Factory, Filter, LocalResponse, Settings as Any};
use mesh_core::limit::VirtualHostRules;
use mesh_core::matcher::Fraction;
use prost::Message as _;

use super::local::status;
use super::rule::{Place, rules};
use crate::name::{ResourceName, ResourceType};
use crate::parse::field_name::writable;
use crate::parse::filter::NodeCluster;
use crate::parse::new_field::additions;
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject, matcher};
use crate::side::ratelimit::{AskLimit, Kind, OnRoute, Settings};

/// Envoy's default for `timeout`.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Where Envoy's filter leaves the service's metadata.
const NAMESPACE: &str = "envoy.filters.http.ratelimit";

/// gRPC's RESOURCE_EXHAUSTED.
const RESOURCE_EXHAUSTED: u8 = 8;

/// Makes the filters that ask a rate limit service. For clients and for servers.
#[derive(Clone, Debug, Default)]
pub struct RateLimitFactory {
    cluster: NodeCluster,
}

impl RateLimitFactory {
    pub(in crate::parse) fn new(cluster: NodeCluster) -> Self {
        Self { cluster }
    }
}

impl Factory for RateLimitFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit"
    }

    fn override_type_url(&self) -> Option<&str> {
        Some("type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute")
    }

    fn parse(&self, message: &[u8]) -> Result<Any, String> {
        let message = RateLimit::decode(message).map_err(|why| why.to_string())?;
        let settings = settings(&message, &self.cluster.name(), &Path::root());
        Ok(Arc::new(settings.map_err(|why| why.to_string())?))
    }

    fn parse_override(&self, message: &[u8]) -> Result<Any, String> {
        let message = RateLimitPerRoute::decode(message).map_err(|why| why.to_string())?;
        let on_route = on_route(&message, &self.cluster.name(), &Path::root());
        Ok(Arc::new(on_route.map_err(|why| why.to_string())?))
    }

    fn clusters(&self, settings: &Any) -> Vec<Arc<str>> {
        let settings = settings.downcast_ref::<Settings>();
        settings.map(|settings| settings.cluster.clone()).into_iter().collect()
    }

    fn build(&self, base: &Any, overrides: &[Any]) -> Arc<dyn Filter> {
        let on_route = overrides.last().and_then(|own| own.downcast_ref::<OnRoute>());
        Arc::new(AskLimit {
            settings: base.clone().downcast().ok(),
            on_route: on_route.cloned().unwrap_or_default(),
        })
    }
}

fn settings(message: &RateLimit, cluster: &Arc<str>, path: &Path<'_>) -> Result<Settings, Reject> {
    if message.domain.is_empty() {
        return Err(path.field("domain").reject("is empty"));
    }
    if message.stage > 10 {
        return Err(path.field("stage").reject("is above 10"));
    }
    let asked = service(message.rate_limit_service.as_ref(), &path.field("rate_limit_service"))?;
    let status = status(message.rate_limited_status.as_ref(), &path.field("rate_limited_status"))?;
    let share = |message: Option<&RuntimeFractionalPercent>, name, otherwise| {
        message.map_or(Ok(otherwise), |message| matcher::fraction(message, &path.field(name)))
    };
    let denied = if message.failure_mode_deny { Fraction::ALL } else { Fraction::per_million(0) };
    let percent = message.failure_mode_deny_percent.as_ref();
    Ok(Settings {
        domain: message.domain.as_str().into(),
        cluster: asked.cluster,
        authority: asked.authority,
        metadata: asked.metadata,
        timeout: match optional_duration(message.timeout, &path.field("timeout"))? {
            None => TIMEOUT,
            Some(Duration::ZERO) => Duration::MAX,
            Some(timeout) => timeout,
        },
        stage: message.stage,
        kind: kind(&message.request_type, &path.field("request_type"))?,
        rules: rules(&message.rate_limits, Place::Filter, cluster, path)?,
        enabled: share(message.filter_enabled.as_ref(), "filter_enabled", Fraction::ALL)?,
        enforced: share(message.filter_enforced.as_ref(), "filter_enforced", Fraction::ALL)?,
        denied_on_failure: share(percent, "failure_mode_deny_percent", denied)?,
        status_on_error: status_on_error(message, &path.field("status_on_error"))?,
        status,
        grpc: match message.rate_limited_as_resource_exhausted {
            true => RESOURCE_EXHAUSTED,
            false => LocalResponse::grpc_code(status),
        },
        response: additions(&message.response_headers_to_add, "response_headers_to_add", path)?,
        tells_rest: tells_rest(message, path)?,
        tells_wait: message.enable_retry_after_header,
        tells_limited: !message.disable_x_envoy_ratelimited_header,
        namespace: match message.metadata_namespace.as_str() {
            "" => NAMESPACE.into(),
            name => name.into(),
        },
    })
}

/// The service, and how it is reached.
struct Asked {
    cluster: Arc<str>,
    authority: Arc<str>,
    metadata: HeaderMap,
}

fn service(message: Option<&RateLimitServiceConfig>, path: &Path<'_>) -> Result<Asked, Reject> {
    let message = message.ok_or_else(|| path.reject("is required"))?;
    let spoken = [ApiVersion::Auto, ApiVersion::V3].map(i32::from);
    if !spoken.contains(&message.transport_api_version) {
        return Err(path.field("transport_api_version").reject("is not V3"));
    }
    let path = path.field("grpc_service");
    let service = message.grpc_service.as_ref().ok_or_else(|| path.reject("is required"))?;
    asked(service, &path)
}

fn asked(service: &GrpcService, path: &Path<'_>) -> Result<Asked, Reject> {
    let envoy = match &service.target_specifier {
        Some(TargetSpecifier::EnvoyGrpc(envoy)) => envoy,
        Some(TargetSpecifier::GoogleGrpc(_)) => {
            return Err(path.field("google_grpc").reject("is not supported"));
        }
        None => return Err(path.field("envoy_grpc").reject("is required")),
    };
    let name = &envoy.cluster_name;
    let at = path.field("envoy_grpc.cluster_name");
    ResourceName::parse(ResourceType::Cluster, name).map_err(|why| at.reject(why))?;
    Ok(Asked {
        cluster: name.as_str().into(),
        authority: envoy.authority.as_str().into(),
        metadata: metadata(&service.initial_metadata, path)?,
    })
}

fn metadata(all: &[Field], path: &Path<'_>) -> Result<HeaderMap, Reject> {
    let mut fields = HeaderMap::new();
    for (at, field) in all.iter().enumerate() {
        let path = path.element("initial_metadata", at);
        let key = writable(&field.key, &path.field("key"))?;
        let value = HeaderValue::from_str(&field.value);
        let value = value.map_err(|_| path.field("value").reject("is no header field's value"))?;
        fields.try_append(key, value).map_err(|why| path.reject(why))?;
    }
    Ok(fields)
}

fn kind(kind: &str, path: &Path<'_>) -> Result<Kind, Reject> {
    match kind {
        "" | "both" => Ok(Kind::Both),
        "internal" => Ok(Kind::Internal),
        "external" => Ok(Kind::External),
        _ => Err(path.reject("is none of internal, external and both")),
    }
}

/// Envoy's default is 500.
fn status_on_error(message: &RateLimit, path: &Path<'_>) -> Result<StatusCode, Reject> {
    let Some(status) = &message.status_on_error else {
        return Ok(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let code = u16::try_from(status.code).ok().filter(|code| (200..600).contains(code));
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    code.ok_or_else(|| path.field("code").reject("is not in 200 to 599"))
}

fn tells_rest(message: &RateLimit, path: &Path<'_>) -> Result<bool, Reject> {
    match XRateLimitHeadersRfcVersion::try_from(message.enable_x_ratelimit_headers) {
        Ok(XRateLimitHeadersRfcVersion::Off) => Ok(false),
        Ok(XRateLimitHeadersRfcVersion::DraftVersion03) => Ok(true),
        Err(_) => Err(path.field("enable_x_ratelimit_headers").reject("is unknown")),
    }
}

fn on_route(
    message: &RateLimitPerRoute,
    cluster: &Arc<str>,
    path: &Path<'_>,
) -> Result<OnRoute, Reject> {
    if message.override_option != 0 {
        return Err(path.field("override_option").reject("is not supported"));
    }
    let virtual_host = match VhRateLimitsOptions::try_from(message.vh_rate_limits) {
        Ok(VhRateLimitsOptions::Override) => VirtualHostRules::Override,
        Ok(VhRateLimitsOptions::Include) => VirtualHostRules::Include,
        Ok(VhRateLimitsOptions::Ignore) => VirtualHostRules::Ignore,
        Err(_) => return Err(path.field("vh_rate_limits").reject("is unknown")),
    };
    let domain = Some(message.domain.as_str()).filter(|domain| !domain.is_empty());
    Ok(OnRoute {
        virtual_host,
        rules: rules(&message.rate_limits, Place::Filter, cluster, path)?,
        domain: domain.map(Into::into),
    })
}
