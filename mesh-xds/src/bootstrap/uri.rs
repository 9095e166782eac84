//! Where a management server is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The default of gRPC's name resolvers.
const DEFAULT_PORT: u16 = 443;

/// The `server_uri` of a management server.
///
/// Understood are `host:port`, `dns:host:port`, `dns:///host:port`, `unix:path`,
/// `unix:///absolute/path`, `ipv4:address:port` and `ipv6:[address]:port` (the last two with several
/// addresses, separated by commas), and `http://host:port` and `https://host:port`. Without a port it
/// is 443, or 80 for `http://`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUri {
    text: String,
    place: Place,
    security: Security,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Host { host: String, port: u16 },
    Sockets(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// What the scheme says about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Security {
    Open,
    Plaintext,
    Tls,
}

impl ServerUri {
    /// Reads a `server_uri`.
    ///
    /// # Errors
    ///
    /// [`ServerUriError`] says which part is not understood.
    pub fn parse(text: &str) -> Result<Self, ServerUriError> {
        let (place, security) = if let Some(rest) = text.strip_prefix("http://") {
            (host(origin(rest)?, 80)?, Security::Plaintext)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (host(origin(rest)?, 443)?, Security::Tls)
        } else if let Some(rest) = text.strip_prefix("unix:") {
            (unix(rest)?, Security::Open)
        } else if let Some(rest) = text.strip_prefix("ipv4:").or(text.strip_prefix("ipv6:")) {
            (sockets(without_authority(rest)?, text.starts_with("ipv6:"))?, Security::Open)
        } else if let Some(rest) = text.strip_prefix("dns:") {
            (host(without_authority(rest)?, DEFAULT_PORT)?, Security::Open)
        } else if text.contains("://") {
            return Err(ServerUriError::Scheme);
        } else {
            (host(text, DEFAULT_PORT)?, Security::Open)
        };
        Ok(Self { text: text.to_owned(), place, security })
    }

    /// The URI as written, which is also how metrics name the server.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host name or address (without brackets) and port, if the URI names a host.
    #[must_use]
    pub fn host(&self) -> Option<(&str, u16)> {
        match &self.place {
            Place::Host { host, port } => Some((host, *port)),
            Place::Sockets(_) | Place::Unix(_) => None,
        }
    }

    /// The addresses of an `ipv4:` or `ipv6:` URI, else none.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        match &self.place {
            Place::Sockets(addresses) => addresses,
            Place::Host { .. } | Place::Unix(_) => &[],
        }
    }

    /// The path of a `unix:` URI.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix(path) => Some(path),
            Place::Host { .. } | Place::Sockets(_) => None,
        }
    }

    pub(super) fn security(&self) -> Security {
        self.security
    }
}

/// What is not understood in a `server_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerUriError {
    /// The scheme is none of ours.
    #[error("scheme is none of dns, unix, ipv4, ipv6, http, https")]
    Scheme,
    /// `dns://server/name` and the like: something stands between `//` and the next `/`.
    #[error("an authority is not supported in this scheme")]
    Authority,
    /// `http` and `https` URIs end after the port.
    #[error("path, query and user information are not supported")]
    Path,
    /// Not a host name or address.
    #[error("host is not a name or an address")]
    Host,
    /// Not a port from 1 to 65535.
    #[error("port is not a number from 1 to 65535")]
    Port,
    /// A socket without a path.
    #[error("socket path is empty")]
    Socket,
}

/// `rest` after `scheme:`, without a `//` and an empty authority before it.
fn without_authority(rest: &str) -> Result<&str, ServerUriError> {
    match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix('/').ok_or(ServerUriError::Authority),
        None => Ok(rest),
    }
}

fn origin(rest: &str) -> Result<&str, ServerUriError> {
    let origin = rest.strip_suffix('/').unwrap_or(rest);
    if origin.contains(['/', '?', '#', '@']) { Err(ServerUriError::Path) } else { Ok(origin) }
}

fn unix(rest: &str) -> Result<Place, ServerUriError> {
    let path = match rest.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => return Err(ServerUriError::Authority),
        None => rest,
    };
    if path.is_empty() { Err(ServerUriError::Socket) } else { Ok(Place::Unix(path.into())) }
}

fn sockets(list: &str, v6: bool) -> Result<Place, ServerUriError> {
    let address = |text: &str| {
        let (host, port) = host_and_port(text, DEFAULT_PORT)?;
        let address: IpAddr = host.parse().map_err(|_| ServerUriError::Host)?;
        let same_family = address.is_ipv6() == v6;
        same_family.then_some(SocketAddr::new(address, port)).ok_or(ServerUriError::Host)
    };
    Ok(Place::Sockets(list.split(',').map(address).collect::<Result<_, _>>()?))
}

fn host(text: &str, default_port: u16) -> Result<Place, ServerUriError> {
    let (host, port) = host_and_port(text, default_port)?;
    Ok(Place::Host { host: host.to_owned(), port })
}

fn host_and_port(text: &str, default_port: u16) -> Result<(&str, u16), ServerUriError> {
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(ServerUriError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| ServerUriError::Host)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(ServerUriError::Host),
        }
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (checked(host)?, Some(port)),
            None => (checked(text)?, None),
        }
    };
    Ok((host, port.map_or(Ok(default_port), self::port)?))
}

fn checked(host: &str) -> Result<&str, ServerUriError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let valid = !host.is_empty() && host.bytes().all(allowed);
    valid.then_some(host).ok_or(ServerUriError::Host)
}

fn port(text: &str) -> Result<u16, ServerUriError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or(ServerUriError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_every_form() {
        for (text, expect) in [
            ("xds.example:15010", ("xds.example", 15010)),
            ("istiod.istio-system.svc:15010", ("istiod.istio-system.svc", 15010)),
            ("xds.example", ("xds.example", 443)),
            ("dns:xds.example:1", ("xds.example", 1)),
            ("dns:///xds.example:1", ("xds.example", 1)),
            ("dns:///xds.example", ("xds.example", 443)),
            ("127.0.0.1:18000", ("127.0.0.1", 18000)),
            ("[::1]:18000", ("::1", 18000)),
            ("::1", ("::1", 443)),
            ("http://xds.example", ("xds.example", 80)),
            ("http://xds.example:1/", ("xds.example", 1)),
            ("https://[::1]", ("::1", 443)),
        ] {
            assert_eq!(ServerUri::parse(text).unwrap().host(), Some(expect), "{text}");
        }
    }

    #[test]
    fn sockets_are_read_from_every_form() {
        for (text, path) in [
            ("unix:/run/xds", "/run/xds"),
            ("unix:run/xds", "run/xds"),
            ("unix:///etc/istio/proxy/XDS", "/etc/istio/proxy/XDS"),
        ] {
            assert_eq!(ServerUri::parse(text).unwrap().unix_path(), Some(Path::new(path)));
        }
        for (text, expect) in [
            ("ipv4:127.0.0.1:1,127.0.0.2", ["127.0.0.1:1", "127.0.0.2:443"]),
            ("ipv6:[::1]:1,::2", ["[::1]:1", "[::2]:443"]),
        ] {
            let expect = expect.map(|address| address.parse().unwrap());
            assert_eq!(ServerUri::parse(text).unwrap().addresses(), expect);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, expect) in [
            ("google-c2p:///x", ServerUriError::Scheme),
            ("xds:///x", ServerUriError::Scheme),
            ("dns://8.8.8.8/xds.example:1", ServerUriError::Authority),
            ("unix://run/xds", ServerUriError::Authority),
            ("unix:", ServerUriError::Socket),
            ("http://user@xds.example", ServerUriError::Path),
            ("https://xds.example/v3", ServerUriError::Path),
            ("", ServerUriError::Host),
            (":80", ServerUriError::Host),
            ("xds example:80", ServerUriError::Host),
            ("[::1]80", ServerUriError::Host),
            ("[xds]:80", ServerUriError::Host),
            ("ipv4:[::1]:80", ServerUriError::Host),
            ("ipv4:127.0.0.1:1,", ServerUriError::Host),
            ("xds.example:0", ServerUriError::Port),
            ("xds.example:+1", ServerUriError::Port),
            ("xds.example:65536", ServerUriError::Port),
            ("xds.example:", ServerUriError::Port),
        ] {
            assert_eq!(ServerUri::parse(text), Err(expect), "{text}");
        }
    }
}
