//! `transport_socket` and `transport_socket_matches` of a cluster.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::TransportSocketMatch;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::value::Kind;
use mesh_core::cluster::{Labels, Security, Transport, TransportMatch};

use super::upstream;
use crate::parse::{Path, Registry, Reject};

/// How connections to the endpoints of `message` are secured.
pub(in crate::parse) fn security(
    message: &Cluster,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Security, Reject> {
    if message.transport_socket_matcher.is_some() {
        return Err(path.field("transport_socket_matcher").reject("is not supported"));
    }
    let default = match &message.transport_socket {
        Some(socket) => upstream(socket, registry, &path.field("transport_socket"))?,
        None => Transport::Plaintext,
    };
    let parse =
        |(at, message)| entry(message, registry, &path.element("transport_socket_matches", at));
    let matches = message.transport_socket_matches.iter().enumerate().map(parse);
    Ok(Security { default, matches: matches.collect::<Result<_, _>>()? })
}

fn entry(
    message: &TransportSocketMatch,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<TransportMatch, Reject> {
    let labels = match &message.r#match {
        Some(wanted) => labels(wanted, &path.field("match"))?,
        None => Labels::default(),
    };
    let path = path.field("transport_socket");
    let socket = message.transport_socket.as_ref().ok_or_else(|| path.reject("is required"))?;
    let transport = upstream(socket, registry, &path)?;
    Ok(TransportMatch { name: message.name.as_str().into(), labels, transport })
}

fn labels(wanted: &Struct, path: &Path<'_>) -> Result<Labels, Reject> {
    let mut all = Vec::new();
    for (name, value) in &wanted.fields {
        let Some(Kind::StringValue(text)) = &value.kind else {
            return Err(path.entry("fields", name).reject("is no text"));
        };
        all.push((name.as_str(), text.as_str()));
    }
    Ok(Labels::new(all))
}
