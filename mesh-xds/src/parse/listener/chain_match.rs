//! `FilterChainMatch` (gRFC A36).

use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::listener::v3::FilterChainMatch as Message;
use envoy_types::pb::envoy::config::listener::v3::filter_chain_match::ConnectionSourceType;
use mesh_core::listener::{ChainMatch, NamePattern, Prefix, SourceType, Transport};
use mesh_core::snapshot::Inspection;

use crate::parse::{Path, Reject};

/// What the message at `path` matches; `None` if it can never match.
///
/// What a handshake begins with matches only where it is looked at: where `inspection` is more than
/// that of addresses. Without a `tls_inspector` it is as gRFC A36 says.
pub(super) fn chain_match(
    message: Option<&Message>,
    inspection: Inspection,
    path: &Path<'_>,
) -> Result<Option<ChainMatch>, Reject> {
    let Some(message) = message else { return Ok(Some(ChainMatch::default())) };
    let mut found = ChainMatch {
        destinations: ranges(&message.prefix_ranges, "prefix_ranges", path)?,
        server_names: names(&message.server_names, path)?,
        transport: None,
        protocols: message.application_protocols.iter().map(|name| name.as_str().into()).collect(),
        source_type: source_type(message.source_type, &path.field("source_type"))?,
        sources: ranges(&message.source_prefix_ranges, "source_prefix_ranges", path)?,
        source_ports: Vec::with_capacity(message.source_ports.len()),
    };
    for (at, port) in message.source_ports.iter().enumerate() {
        let port = u16::try_from(*port).ok().filter(|port| *port != 0);
        let path = path.element("source_ports", at);
        found.source_ports.push(port.ok_or_else(|| path.reject("is not in 1 to 65535"))?);
    }
    if !message.direct_source_prefix_ranges.is_empty() {
        // Without trusted proxies it is the same as the source, of which there may be one list.
        return Err(path.field("direct_source_prefix_ranges").reject("is not supported"));
    }
    match message.transport_protocol.as_str() {
        "" => {}
        "raw_buffer" => found.transport = Some(Transport::Plain),
        "tls" => found.transport = Some(Transport::Tls),
        _ => return Ok(None),
    }
    //= A36 § destination_port, server_names, application_protocols
    //# never match
    let is_seen = inspection != Inspection::Addresses || !found.reads_hello();
    let matches = message.destination_port.is_none() && is_seen;
    Ok(matches.then_some(found))
}

fn source_type(value: i32, path: &Path<'_>) -> Result<SourceType, Reject> {
    match ConnectionSourceType::try_from(value) {
        Ok(ConnectionSourceType::Any) => Ok(SourceType::Any),
        Ok(ConnectionSourceType::SameIpOrLoopback) => Ok(SourceType::SameHost),
        Ok(ConnectionSourceType::External) => Ok(SourceType::External),
        Err(_) => Err(path.reject(format_args!("{value} is unknown"))),
    }
}

fn names(texts: &[String], path: &Path<'_>) -> Result<Vec<NamePattern>, Reject> {
    let name = |(at, text): (usize, &String)| {
        let why = format_args!("{text:?} is neither a name nor `*.` before one");
        NamePattern::parse(text).ok_or_else(|| path.element("server_names", at).reject(why))
    };
    texts.iter().enumerate().map(name).collect()
}

fn ranges(messages: &[CidrRange], name: &str, path: &Path<'_>) -> Result<Vec<Prefix>, Reject> {
    let range = |(at, message): (usize, &CidrRange)| {
        let text = &message.address_prefix;
        let address = text.parse().map_err(|_| {
            let path = path.element(name, at);
            path.field("address_prefix").reject(format_args!("{text:?} is no IP address"))
        })?;
        Ok(Prefix::new(address, message.prefix_len.map_or(0, |length| length.value)))
    };
    messages.iter().enumerate().map(range).collect()
}
