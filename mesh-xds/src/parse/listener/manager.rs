//! `HttpConnectionManager`: what both sides read of it, and what only servers do.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier,
};
use mesh_core::filter::Side;
use mesh_core::identity::{ForwardMode, Forwarded};
use mesh_core::snapshot::{Connections, HttpFilter};

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
    Ok(Manager {
        routes: routes(message.route_specifier.as_ref(), registry, path)?,
        filters: filters(&message.http_filters, side, registry, path)?.into(),
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
    let mut connections = Connections::default();
    if let Some(common) = &message.common_http_protocol_options {
        let path = path.field("common_http_protocol_options");
        connections.idle_timeout =
            optional_duration(common.idle_timeout, &path.field("idle_timeout"))?;
        let age = path.field("max_connection_duration");
        connections.max_age = positive_duration(common.max_connection_duration, &age)?;
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
        let path = path.field("set_current_client_cert_details");
        for (name, is_set) in [("cert", details.cert), ("chain", details.chain)] {
            if is_set {
                return Err(path.field(name).reject("is not supported"));
            }
        }
        forwarded.subject = details.subject.is_some_and(|subject| subject.value);
        forwarded.uri = details.uri;
        forwarded.dns = details.dns;
    }
    Ok(forwarded)
}

fn refuse_rewriting(message: &HttpConnectionManager, path: &Path<'_>) -> Result<(), Reject> {
    const HTTP3: i32 = CodecType::Http3 as i32;
    const DEFAULT: i32 = PathWithEscapedSlashesAction::ImplementationSpecificDefault as i32;
    const KEEP: i32 = PathWithEscapedSlashesAction::KeepUnchanged as i32;
    if message.codec_type == HTTP3 {
        return Err(path.field("codec_type").reject("HTTP3 is not supported"));
    }
    if message.normalize_path.is_some_and(|normalize| normalize.value) {
        return Err(path.field("normalize_path").reject("is not supported"));
    }
    if message.merge_slashes {
        return Err(path.field("merge_slashes").reject("is not supported"));
    }
    if ![DEFAULT, KEEP].contains(&message.path_with_escaped_slashes_action) {
        let path = path.field("path_with_escaped_slashes_action");
        return Err(path.reject("only KEEP_UNCHANGED is supported"));
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
