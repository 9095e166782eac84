//! How the endpoints are spoken to.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::{
    Http2ProtocolOptions, HttpProtocolOptions as CommonOptions, KeepaliveSettings,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::google::protobuf::UInt32Value;
use mesh_core::cluster::{Config, Connections, Keepalive, Upstream};
use prost::Name;

use crate::parse::value::{optional_duration, positive_duration, unpack};
use crate::parse::{Path, Reject};

/// The key that Envoy gives the options in `typed_extension_protocol_options`.
pub(super) const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Envoy's defaults for a keepalive that says nothing else.
const KEEPALIVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

pub(super) fn apply(message: &Cluster, config: &mut Config, path: &Path<'_>) -> Result<(), Reject> {
    let connections = &mut config.connections;
    if let Some(any) = message.typed_extension_protocol_options.get(KEY) {
        let path = path.entry("typed_extension_protocol_options", KEY);
        let options = unpack::<HttpProtocolOptions>(any, &path)?
            .ok_or_else(|| path.reject(format_args!("is not {}", HttpProtocolOptions::NAME)))?;
        return typed(&options, config, &path);
    }
    // The older fields, which the newer message replaces as a whole.
    #[expect(deprecated, reason = "control planes send them")]
    let (common, http1, http2, requests) = (
        message.common_http_protocol_options.as_ref(),
        message.http_protocol_options.as_ref(),
        message.http2_protocol_options.as_ref(),
        message.max_requests_per_connection,
    );
    connections.max_requests = nonzero(requests);
    if let Some(options) = common {
        common_options(options, connections, &path.field("common_http_protocol_options"))?;
    }
    match (http2, http1) {
        (Some(options), _) => {
            config.upstream = Upstream::Http2;
            http2_options(options, connections, &path.field("http2_protocol_options"))?;
        }
        (None, Some(_)) => config.upstream = Upstream::Http1,
        (None, None) => {}
    }
    Ok(())
}

fn typed(
    options: &HttpProtocolOptions,
    config: &mut Config,
    path: &Path<'_>,
) -> Result<(), Reject> {
    if let Some(common) = &options.common_http_protocol_options {
        let path = path.field("common_http_protocol_options");
        common_options(common, &mut config.connections, &path)?;
    }
    let required = || path.field("upstream_protocol_options").reject("is required");
    let (http2, name) = match options.upstream_protocol_options.as_ref().ok_or_else(required)? {
        UpstreamProtocolOptions::ExplicitHttpConfig(explicit) => {
            let path = path.field("explicit_http_config");
            match &explicit.protocol_config {
                Some(ProtocolConfig::HttpProtocolOptions(_)) => {
                    config.upstream = Upstream::Http1;
                    return Ok(());
                }
                Some(ProtocolConfig::Http2ProtocolOptions(http2)) => {
                    (Some(http2), "explicit_http_config.http2_protocol_options")
                }
                Some(ProtocolConfig::Http3ProtocolOptions(_)) => {
                    return Err(path.field("http3_protocol_options").reject("is not supported"));
                }
                None => return Err(path.reject("names no protocol")),
            }
        }
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(config) => (
            config.http2_protocol_options.as_ref(),
            "use_downstream_protocol_config.http2_protocol_options",
        ),
        // The protocol is a matter of ALPN there, and plain text has none.
        UpstreamProtocolOptions::AutoConfig(config) => {
            (config.http2_protocol_options.as_ref(), "auto_config.http2_protocol_options")
        }
    };
    config.upstream = Upstream::Http2;
    match http2 {
        Some(http2) => http2_options(http2, &mut config.connections, &path.field(name)),
        None => Ok(()),
    }
}

fn common_options(
    options: &CommonOptions,
    connections: &mut Connections,
    path: &Path<'_>,
) -> Result<(), Reject> {
    // 0 switches the timeout off, as in Envoy.
    if let Some(idle) = optional_duration(options.idle_timeout, &path.field("idle_timeout"))? {
        connections.idle_timeout = (!idle.is_zero()).then_some(idle);
    }
    let age = path.field("max_connection_duration");
    connections.max_age = positive_duration(options.max_connection_duration, &age)?;
    let requests = nonzero(options.max_requests_per_connection);
    connections.max_requests = requests.or(connections.max_requests);
    Ok(())
}

fn http2_options(
    options: &Http2ProtocolOptions,
    connections: &mut Connections,
    path: &Path<'_>,
) -> Result<(), Reject> {
    const WINDOWS: std::ops::RangeInclusive<u32> = 65_535..=0x7fff_ffff;
    for (name, value, into) in [
        (
            "initial_stream_window_size",
            options.initial_stream_window_size,
            &mut connections.stream_window,
        ),
        (
            "initial_connection_window_size",
            options.initial_connection_window_size,
            &mut connections.connection_window,
        ),
    ] {
        match value.map(|v| v.value) {
            Some(bytes) if WINDOWS.contains(&bytes) => *into = bytes,
            Some(_) => return Err(path.field(name).reject("is not in 65535 to 2147483647")),
            None => {}
        }
    }
    match options.max_concurrent_streams.map(|v| v.value) {
        Some(0) => return Err(path.field("max_concurrent_streams").reject("is 0")),
        streams => connections.max_concurrent_streams = streams,
    }
    if let Some(settings) = &options.connection_keepalive {
        connections.keepalive = keepalive(settings, &path.field("connection_keepalive"))?;
    }
    Ok(())
}

pub(in crate::parse) fn keepalive(
    settings: &KeepaliveSettings,
    path: &Path<'_>,
) -> Result<Option<Keepalive>, Reject> {
    let timeout = positive_duration(settings.timeout, &path.field("timeout"))?;
    let interval = positive_duration(settings.interval, &path.field("interval"))?;
    let timeout = timeout.unwrap_or(KEEPALIVE_TIMEOUT);
    Ok(interval.map(|interval| Keepalive { interval, timeout }))
}

/// Envoy reads 0 as no bound.
fn nonzero(value: Option<UInt32Value>) -> Option<u32> {
    value.map(|v| v.value).filter(|v| *v != 0)
}
