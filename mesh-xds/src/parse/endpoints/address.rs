//! Addresses of endpoints.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::cluster::{Address, Endpoint, Health, Labels};

use super::{Path, Reject};
use crate::proto::eds;

/// The endpoint in the raw `LbEndpoint` at `path`, with a state of its own.
pub(super) fn endpoint(raw: &[u8], path: &Path<'_>) -> Result<Endpoint, Reject> {
    let message = eds::Endpoint::read(raw).map_err(|e| path.reject(e))?;
    let path_to = path.field("endpoint");
    if !message.is_inline {
        return Err(path_to.reject("is required"));
    }
    let first = address(message.address, &path_to.field("address"))?;
    let mut endpoint = Endpoint::new(first);
    if !message.more.is_empty() {
        let more = message.more.iter().enumerate();
        let parse = |(at, more): (usize, &Option<_>)| {
            address(*more, &path_to.element("additional_addresses", at).field("address"))
        };
        endpoint.more = more.map(parse).collect::<Result<_, _>>()?;
    }
    if !message.hostname.is_empty() {
        endpoint.hostname = Some(message.hostname.into());
    }
    endpoint.weight = weight(message.weight, path)?;
    endpoint.health = health(message.health);
    endpoint.labels = labels(&message.labels);
    endpoint.metadata = metadata(&message.labels);
    Ok(endpoint)
}

/// An endpoint that is found by DNS.
pub(super) struct Named<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) weight: u32,
    pub(super) labels: Option<Arc<Labels>>,
    pub(super) metadata: Option<Arc<Labels>>,
}

/// The DNS name and port in the raw `LbEndpoint` at `path`.
pub(super) fn named<'a>(raw: &'a [u8], path: &Path<'_>) -> Result<Named<'a>, Reject> {
    let message = eds::Endpoint::read(raw).map_err(|e| path.reject(e))?;
    let path_to = path.field("endpoint.address.socket_address");
    let Some(eds::Address::Socket(socket)) = message.address else {
        return Err(path_to.reject("is required"));
    };
    if socket.has_resolver {
        return Err(path_to.field("resolver_name").reject("is not supported"));
    }
    if socket.address.is_empty() {
        return Err(path_to.field("address").reject("is empty"));
    }
    Ok(Named {
        host: socket.address,
        port: port(&socket, &path_to)?,
        weight: weight(message.weight, path)?,
        labels: labels(&message.labels),
        metadata: metadata(&message.labels),
    })
}

fn labels(all: &eds::Labels<'_>) -> Option<Arc<Labels>> {
    let all = &all.transport;
    (!all.is_empty()).then(|| Arc::new(Labels::new(all.iter().copied())))
}

fn metadata(all: &eds::Labels<'_>) -> Option<Arc<Labels>> {
    let all = &all.lb;
    let texts = all.iter().map(|(name, text)| (*name, &**text));
    (!all.is_empty()).then(|| Arc::new(Labels::new(texts)))
}

fn weight(weight: Option<u32>, path: &Path<'_>) -> Result<u32, Reject> {
    match weight {
        Some(0) => Err(path.field("load_balancing_weight").reject("is 0")),
        Some(weight) => Ok(weight),
        None => Ok(1),
    }
}

fn address(message: Option<eds::Address<'_>>, path: &Path<'_>) -> Result<Address, Reject> {
    let socket = match message {
        Some(eds::Address::Socket(socket)) => socket,
        Some(eds::Address::Pipe("")) => return Err(path.field("pipe.path").reject("is empty")),
        Some(eds::Address::Pipe(path)) => return Ok(Address::Unix(path.into())),
        Some(eds::Address::Internal) => {
            return Err(path.field("envoy_internal_address").reject("is not supported"));
        }
        Some(eds::Address::Unset) | None => return Err(path.reject("is required")),
    };
    let path = path.field("socket_address");
    if socket.protocol != 0 {
        return Err(path.field("protocol").reject("is not TCP"));
    }
    let ip: IpAddr = socket.address.parse().map_err(|_| {
        path.field("address").reject(format_args!("{:?} is no IP address", socket.address))
    })?;
    Ok(Address::Socket(SocketAddr::new(ip, port(&socket, &path)?)))
}

fn port(socket: &eds::SocketAddress<'_>, path: &Path<'_>) -> Result<u16, Reject> {
    let path = path.field("port_value");
    let port = socket.port.ok_or_else(|| path.reject("is required"))?;
    u16::try_from(port).map_err(|_| path.reject("is above 65535"))
}

fn health(status: u32) -> Health {
    match status {
        0 => Health::Unknown,
        1 => Health::Healthy,
        3 => Health::Draining,
        4 => Health::Timeout,
        5 => Health::Degraded,
        // What we do not know gets no calls, as gRFC A27 says of all but two.
        _ => Health::Unhealthy,
    }
}
