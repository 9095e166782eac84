//! The service that is asked.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::grpc_service::TargetSpecifier;
use envoy_types::pb::envoy::config::core::v3::http_uri::HttpUpstreamType;
use envoy_types::pb::envoy::config::core::v3::{GrpcService, HeaderValue as Field};
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::HttpService;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use http::{HeaderMap, HeaderValue, Uri};
use mesh_core::matcher::StringMatcher;

use super::settings::{list, optional};
use crate::name::{ResourceName, ResourceType};
use crate::parse::field_name::writable;
use crate::parse::value::positive_duration;
use crate::parse::{Path, Reject};
use crate::side::ext_authz::{Grpc, Http, Service};

/// Envoy's default for `grpc_service.timeout`.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The service, and how it is reached.
pub(super) struct Asked {
    pub(super) service: Service,
    pub(super) cluster: Arc<str>,
    pub(super) authority: Arc<str>,
    pub(super) timeout: Duration,
    /// The header fields that it sees, where the service says so itself.
    pub(super) allowed: Option<Vec<StringMatcher>>,
}

pub(super) fn service(message: Option<&Services>, path: &Path<'_>) -> Result<Asked, Reject> {
    match message {
        Some(Services::GrpcService(message)) => grpc(message, &path.field("grpc_service")),
        Some(Services::HttpService(message)) => http(message, &path.field("http_service")),
        None => Err(path.reject("has neither grpc_service nor http_service")),
    }
}

fn grpc(message: &GrpcService, path: &Path<'_>) -> Result<Asked, Reject> {
    let envoy = match &message.target_specifier {
        Some(TargetSpecifier::EnvoyGrpc(envoy)) => envoy,
        Some(TargetSpecifier::GoogleGrpc(_)) => {
            return Err(path.field("google_grpc").reject("is not supported"));
        }
        None => return Err(path.field("envoy_grpc").reject("is required")),
    };
    let cluster = cluster(&envoy.cluster_name, &path.field("envoy_grpc.cluster_name"))?;
    let timeout = positive_duration(message.timeout, &path.field("timeout"))?;
    let metadata = fields(&message.initial_metadata, "initial_metadata", path)?;
    Ok(Asked {
        service: Service::Grpc(Grpc { metadata }),
        cluster,
        authority: envoy.authority.as_str().into(),
        timeout: timeout.unwrap_or(TIMEOUT),
        allowed: None,
    })
}

#[expect(deprecated, reason = "control planes send the older allowed_headers")]
fn http(message: &HttpService, path: &Path<'_>) -> Result<Asked, Reject> {
    let place = path.field("server_uri");
    let from = message.server_uri.as_ref().ok_or_else(|| place.reject("is required"))?;
    let Some(HttpUpstreamType::Cluster(name)) = &from.http_upstream_type else {
        return Err(place.field("cluster").reject("is required"));
    };
    let uri: Option<Uri> = from.uri.parse().ok();
    let authority = uri.and_then(|uri| Some(uri.authority()?.as_str().into()));
    let timeout = positive_duration(from.timeout, &place.field("timeout"))?;
    let request = message.authorization_request.as_ref();
    let response = message.authorization_response.clone().unwrap_or_default();
    let at = path.field("authorization_response");
    let add = request.map_or(&[][..], |request| &request.headers_to_add);
    let to = path.field("authorization_request");
    let allowed = request.and_then(|request| request.allowed_headers.as_ref());
    let starts = |text: &str| text.is_empty() || text.starts_with('/');
    if !starts(&message.path_prefix) {
        return Err(path.field("path_prefix").reject("does not start with /"));
    }
    if !starts(&message.path_override) {
        return Err(path.field("path_override").reject("does not start with /"));
    }
    if !message.path_prefix.is_empty() && !message.path_override.is_empty() {
        return Err(path.field("path_override").reject("is beside path_prefix"));
    }
    let matchers = |list_of: Option<&_>, name| list(list_of, &at.field(name));
    let http = Http {
        prefix: message.path_prefix.as_str().into(),
        path: Some(message.path_override.as_str()).filter(|it| !it.is_empty()).map(Into::into),
        add: fields(add, "headers_to_add", &to)?,
        upstream: matchers(response.allowed_upstream_headers.as_ref(), "allowed_upstream_headers")?,
        upstream_append: matchers(
            response.allowed_upstream_headers_to_append.as_ref(),
            "allowed_upstream_headers_to_append",
        )?,
        client: optional(
            response.allowed_client_headers.as_ref(),
            &at.field("allowed_client_headers"),
        )?,
        client_on_success: matchers(
            response.allowed_client_headers_on_success.as_ref(),
            "allowed_client_headers_on_success",
        )?,
        metadata: matchers(
            response.dynamic_metadata_from_headers.as_ref(),
            "dynamic_metadata_from_headers",
        )?,
    };
    Ok(Asked {
        service: Service::Http(Box::new(http)),
        cluster: cluster(name, &place.field("cluster"))?,
        authority: authority.ok_or_else(|| place.field("uri").reject("is no absolute URI"))?,
        timeout: timeout.ok_or_else(|| place.field("timeout").reject("is required"))?,
        allowed: optional(allowed, &to.field("allowed_headers"))?,
    })
}

fn cluster(name: &str, path: &Path<'_>) -> Result<Arc<str>, Reject> {
    ResourceName::parse(ResourceType::Cluster, name).map_err(|why| path.reject(why))?;
    Ok(name.into())
}

fn fields(all: &[Field], name: &str, path: &Path<'_>) -> Result<HeaderMap, Reject> {
    let mut fields = HeaderMap::new();
    for (at, field) in all.iter().enumerate() {
        let path = path.element(name, at);
        let key = writable(&field.key, &path.field("key"))?;
        let value = HeaderValue::from_str(&field.value);
        let value = value.map_err(|_| path.field("value").reject("is no header field's value"))?;
        fields.try_append(key, value).map_err(|why| path.reject(why))?;
    }
    Ok(fields)
}
