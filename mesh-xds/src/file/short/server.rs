//! A server: its listener, which serves everything within some bounds to those who may have it.

use envoy_types::pb::envoy::config::core::v3::{Http2ProtocolOptions, HttpProtocolOptions};
use envoy_types::pb::envoy::config::listener::v3::{Filter, Listener, filter};
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{BoolValue, UInt32Value};

use super::address::Address;
use super::cursor::{Cursor, Fields};
use super::roles::Roles;
use super::service::{any, is_name, manager, proto_duration, resource, route_configuration};
use super::{access, tls};
use crate::file::error::{FileError, Why};
use crate::file::policy::{Mode, Policies};
use crate::file::resources::FileResource;

/// What the name of a server's listener begins with; the rest is where it listens.
const PREFIX: &str = "server/";

/// The listener of the server at `place`.
pub(super) fn compile(
    place: &str,
    server: &Cursor<'_>,
    (policies, roles): (&Policies, &Roles),
) -> Result<FileResource, FileError> {
    let address = address(place).ok_or_else(|| {
        let why = "a server listens at `ip:port`, `[ip]:port` or `unix:path`".to_owned();
        server.fail_key(Why::Invalid(why))
    })?;
    let fields = server.fields(KNOWN)?;
    let mode = mode(&fields, &address, policies)?;
    let identity = fields.get("identity").map(|it| it.text()).transpose()?;
    let duration = |key| fields.get(key).map(|it| it.duration()).transpose();
    let streams = fields.get("max_concurrent_streams").map(|it| match it.number(u32::MAX)? {
        0 => Err(it.invalid("at least 1")),
        streams => Ok(UInt32Value { value: streams }),
    });
    let everything = pb::Route {
        r#match: Some(pb::RouteMatch {
            path_specifier: Some(pb::route_match::PathSpecifier::Prefix(String::new())),
            ..Default::default()
        }),
        action: Some(pb::route::Action::NonForwardingAction(pb::NonForwardingAction {})),
        ..Default::default()
    };
    let name = format!("{PREFIX}{}", place.strip_prefix("unix:").unwrap_or(place));
    let routes = route_configuration(&name, vec![everything]);
    let access = access::filters(&fields, roles, policies.workload())?;
    let mut manager = hcm::HttpConnectionManager {
        common_http_protocol_options: Some(HttpProtocolOptions {
            idle_timeout: duration("idle_timeout")?.map(proto_duration),
            max_connection_duration: duration("max_connection_age")?.map(proto_duration),
            ..Default::default()
        }),
        request_headers_timeout: duration("header_timeout")?.map(proto_duration),
        http2_protocol_options: Some(Http2ProtocolOptions {
            max_concurrent_streams: streams.transpose()?,
            ..Default::default()
        }),
        // Rules are about the path that the application will take it for, as with Istio.
        normalize_path: Some(BoolValue { value: true }),
        merge_slashes: true,
        ..manager(hcm::http_connection_manager::RouteSpecifier::RouteConfig(routes))
    };
    manager.http_filters.splice(..0, access);
    let filter = Filter {
        name: "manager".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(any(&manager))),
    };
    let mut listener =
        Listener { name: name.clone(), address: Some(address.to_proto()), ..Default::default() };
    tls::chains(&mut listener, mode, identity.unwrap_or("default"), vec![filter]);
    Ok(resource(name, server.origin(), &listener))
}

/// Of what the server says and what policies say, the stricter.
fn mode(fields: &Fields<'_>, address: &Address, policies: &Policies) -> Result<Mode, FileError> {
    let own = fields.get("tls").map(|it| it.choice(MODES)).transpose()?;
    let port = match address {
        Address::Socket(address) => Some(address.port()),
        Address::Unix(_) | Address::Dns(..) => None,
    };
    Ok(own.max(policies.mode(port)).unwrap_or(Mode::Disable))
}

fn address(place: &str) -> Option<Address> {
    match place.strip_prefix("unix:") {
        Some(path) if is_name(path, "/._- ") => Some(Address::Unix(path.to_owned())),
        Some(_) => None,
        None => place.parse().ok().map(Address::Socket),
    }
}

const KNOWN: &[&str] = &[
    "tls",
    "identity",
    "allow",
    "deny",
    "roles",
    "idle_timeout",
    "max_connection_age",
    "max_concurrent_streams",
    "header_timeout",
];
const MODES: &[(&str, Mode)] =
    &[("strict", Mode::Strict), ("permissive", Mode::Permissive), ("disable", Mode::Disable)];
