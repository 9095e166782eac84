//! Addresses as people write them.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;

use super::cursor::Cursor;
use super::service::is_name;
use crate::file::error::FileError;

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Socket(SocketAddr),
    Unix(String),
    /// A name to resolve, and a port.
    Dns(String, u16),
}

impl Address {
    pub(super) fn read(cursor: &Cursor<'_>) -> Result<Self, FileError> {
        let text = cursor.text()?;
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(cursor.invalid("`unix:` takes a path")),
                path => Ok(Self::Unix(path.to_owned())),
            };
        }
        if let Some(place) = text.strip_prefix("dns:") {
            let dns = host_and_port(place).map(|(host, port)| Self::Dns(host.to_owned(), port));
            return dns.ok_or_else(|| cursor.mismatch("a name and a port, as in `dns:host:80`"));
        }
        match (text.parse(), host_and_port(text)) {
            (Ok(address), _) => Ok(Self::Socket(address)),
            (Err(_), Some(_)) => {
                let why = format!("`{text}` is a name (did you mean `dns:{text}`?)");
                Err(cursor.invalid(why))
            }
            (Err(_), None) => {
                Err(cursor.mismatch("`ip:port`, `[ip]:port`, `dns:host:port` or `unix:path`"))
            }
        }
    }

    pub(super) fn to_proto(&self) -> core::Address {
        let socket = |address: String, port: u16| {
            Kind::SocketAddress(core::SocketAddress {
                address,
                port_specifier: Some(PortSpecifier::PortValue(port.into())),
                ..Default::default()
            })
        };
        let address = match self {
            Self::Socket(address) => socket(address.ip().to_string(), address.port()),
            Self::Dns(host, port) => socket(host.clone(), *port),
            Self::Unix(path) => Kind::Pipe(core::Pipe { path: path.clone(), mode: 0 }),
        };
        core::Address { address: Some(address) }
    }
}

/// A DNS name and a port. A name has a letter: otherwise it is an address that is none.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let has_letter = host.bytes().any(|c| c.is_ascii_alphabetic());
    (has_letter && is_name(host, ".-_")).then_some((host, port.parse().ok()?))
}
