//! `HttpConnectionManager`: what both sides read of it, and what only servers do.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::http_protocol_options::HeadersWithUnderscoresAction;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier,
};
use mesh_core::filter::Side;
use mesh_core::identity::{ForwardMode, Forwarded};
use mesh_core::request::{EscapedSlashes, Paths};
use mesh_core::snapshot::{Connections, HttpFilter, Underscores};

use super::RouteSource;
use crate::name::{ResourceName, ResourceType};
use crate::parse::cluster::keepalive;
use crate::parse::filter::{Registry, filters};
use crate::parse::value::{optional_duration, positive_duration, same_stream};
use crate::parse::{Path, Reject, route};

/// A connection manager as both sides read it.
pub(super) struct Manager {
    pub(super) routes: RouteSource,
    pub(super) filters: Arc<[HttpFilter]>,
    pub(super) ignored: Arc<[Arc<str>]>,
    pub(super) max_stream_duration: Option<Duration>,
}

pub(super) fn manager(
    message: &HttpConnectionManager,
    side: Side,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Manager, Reject> {
    if message.xff_num_trusted_hops != 0 {
        return Err(path.field("xff_num_trusted_hops").reject("is not 0"));
    }
    if !message.original_ip_detection_extensions.is_empty() {
        return Err(path.field("original_ip_detection_extensions").reject("is not empty"));
    }
    let common = message.common_http_protocol_options.as_ref();
    let duration = path.field("common_http_protocol_options.max_stream_duration");
    let max_stream_duration =
        optional_duration(common.and_then(|c| c.max_stream_duration), &duration)?;
    let routes = routes(message.route_specifier.as_ref(), registry, path)?;
    let filters = filters(&message.http_filters, side, registry, path)?;
    Ok(Manager {
        routes,
        filters: filters.used.into(),
        ignored: filters.ignored.into(),
        max_stream_duration,
    })
}

fn routes(
    specifier: Option<&RouteSpecifier>,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<RouteSource, Reject> {
    match specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            let path = path.field("rds");
            same_stream(rds.config_source.as_ref(), &path.field("config_source"))?;
            let name =
                ResourceName::parse(ResourceType::RouteConfiguration, &rds.route_config_name);
            Ok(RouteSource::Rds(name.map_err(|why| path.field("route_config_name").reject(why))?))
        }
        Some(RouteSpecifier::RouteConfig(message)) => {
            let table = route::table(message, registry, &path.field("route_config"))?;
            Ok(RouteSource::Inline(Arc::new(table)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => {
            Err(path.field("scoped_routes").reject("is not supported"))
        }
        None => Err(path.reject("has neither rds nor route_config")),
    }
}

/// Bounds that a server's connection manager sets.
///
/// What would change which requests a policy sees, and is not done here, is refused.
pub(super) fn connections(
    message: &HttpConnectionManager,
    path: &Path<'_>,
) -> Result<Connections, Reject> {
    refuse_rewriting(message, path)?;
    refuse_upgrade_chains(message, path)?;
    let mut connections = Connections::default();
    if let Some(common) = &message.common_http_protocol_options {
        let path = path.field("common_http_protocol_options");
        connections.idle_timeout =
            optional_duration(common.idle_timeout, &path.field("idle_timeout"))?;
        let age = path.field("max_connection_duration");
        connections.max_age = positive_duration(common.max_connection_duration, &age)?;
        match common.max_headers_count.map(|count| count.value) {
            Some(0) => return Err(path.field("max_headers_count").reject("is 0")),
            count => connections.max_header_fields = count,
        }
        let action = common.headers_with_underscores_action;
        connections.underscores = match HeadersWithUnderscoresAction::try_from(action) {
            Ok(HeadersWithUnderscoresAction::Allow) => Underscores::Allow,
            Ok(HeadersWithUnderscoresAction::RejectRequest) => Underscores::Refuse,
            Ok(HeadersWithUnderscoresAction::DropHeader) => Underscores::Drop,
            Err(_) => {
                return Err(path.field("headers_with_underscores_action").reject("is unknown"));
            }
        };
    }
    let timeout = path.field("request_headers_timeout");
    let timeout = optional_duration(message.request_headers_timeout, &timeout)?;
    connections.header_timeout = timeout.filter(|timeout| !timeout.is_zero());
    match message.max_request_headers_kb.map(|kb| kb.value) {
        Some(kb @ 1..=8192) => connections.max_header_bytes = Some(kb * 1024),
        Some(_) => return Err(path.field("max_request_headers_kb").reject("is not in 1 to 8192")),
        None => {}
    }
    if let Some(http2) = &message.http2_protocol_options {
        let path = path.field("http2_protocol_options");
        match http2.max_concurrent_streams.map(|streams| streams.value) {
            Some(0) => return Err(path.field("max_concurrent_streams").reject("is 0")),
            streams => connections.max_concurrent_streams = streams,
        }
        if let Some(settings) = &http2.connection_keepalive {
            connections.keepalive = keepalive(settings, &path.field("connection_keepalive"))?;
        }
    }
    Ok(connections)
}

/// What requests say of who has connected.
pub(super) fn forwarded(
    message: &HttpConnectionManager,
    path: &Path<'_>,
) -> Result<Forwarded, Reject> {
    let mode = match ForwardClientCertDetails::try_from(message.forward_client_cert_details) {
        Ok(ForwardClientCertDetails::Sanitize) => ForwardMode::Sanitize,
        Ok(ForwardClientCertDetails::ForwardOnly) => ForwardMode::ForwardOnly,
        Ok(ForwardClientCertDetails::AppendForward) => ForwardMode::AppendForward,
        Ok(ForwardClientCertDetails::SanitizeSet) => ForwardMode::SanitizeSet,
        Ok(ForwardClientCertDetails::AlwaysForwardOnly) => ForwardMode::AlwaysForwardOnly,
        Err(_) => return Err(path.field("forward_client_cert_details").reject("is unknown")),
    };
    let mut forwarded = Forwarded { mode, ..Forwarded::default() };
    if let Some(details) = &message.set_current_client_cert_details {
        forwarded.cert = details.cert;
        forwarded.chain = details.chain;
        forwarded.subject = details.subject.is_some_and(|subject| subject.value);
        forwarded.uri = details.uri;
        forwarded.dns = details.dns;
    }
    Ok(forwarded)
}

/// Upgrades pass as other requests do, and the application decides about them. Where they would pass
/// other filters, or none may, that is not enough.
fn refuse_upgrade_chains(message: &HttpConnectionManager, path: &Path<'_>) -> Result<(), Reject> {
    for (at, upgrade) in message.upgrade_configs.iter().enumerate() {
        let path = path.element("upgrade_configs", at);
        if !upgrade.filters.is_empty() {
            return Err(path.field("filters").reject("is not supported"));
        }
        if upgrade.enabled.is_some_and(|enabled| !enabled.value) {
            return Err(path.field("enabled").reject("false is not supported"));
        }
    }
    Ok(())
}

fn refuse_rewriting(message: &HttpConnectionManager, path: &Path<'_>) -> Result<(), Reject> {
    const HTTP3: i32 = CodecType::Http3 as i32;
    if message.codec_type == HTTP3 {
        return Err(path.field("codec_type").reject("HTTP3 is not supported"));
    }
    for (name, is_set) in [
        ("early_header_mutation_extensions", !message.early_header_mutation_extensions.is_empty()),
        ("path_normalization_options", message.path_normalization_options.is_some()),
        ("strip_matching_host_port", message.strip_matching_host_port),
        ("strip_port_mode", message.strip_port_mode.is_some()),
        ("strip_trailing_host_dot", message.strip_trailing_host_dot),
    ] {
        if is_set {
            return Err(path.field(name).reject("is not supported"));
        }
    }
    Ok(())
}

/// How a server rewrites paths. Not at all by default, as Envoy does without runtime configuration.
pub(super) fn paths(message: &HttpConnectionManager, path: &Path<'_>) -> Result<Paths, Reject> {
    let action = PathWithEscapedSlashesAction::try_from(message.path_with_escaped_slashes_action);
    let escaped_slashes = match action {
        Ok(
            PathWithEscapedSlashesAction::ImplementationSpecificDefault
            | PathWithEscapedSlashesAction::KeepUnchanged,
        ) => EscapedSlashes::Keep,
        Ok(PathWithEscapedSlashesAction::RejectRequest) => EscapedSlashes::Reject,
        Ok(PathWithEscapedSlashesAction::UnescapeAndRedirect) => EscapedSlashes::Redirect,
        Ok(PathWithEscapedSlashesAction::UnescapeAndForward) => EscapedSlashes::Unescape,
        Err(_) => {
            return Err(path.field("path_with_escaped_slashes_action").reject("is unknown"));
        }
    };
    Ok(Paths {
        escaped_slashes,
        normalize: message.normalize_path.is_some_and(|normalize| normalize.value),
        merge_slashes: message.merge_slashes,
    })
}
