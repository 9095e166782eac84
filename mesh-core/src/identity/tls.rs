//! How a side of a connection is secured, as configuration says it.

use std::sync::Arc;

use super::san::SanMatcher;

/// TLS towards the endpoints of a cluster (`UpstreamTlsContext`, gRFC A29, A82, A101).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate provider whose identity is presented if the server asks; `None` to present
    /// nothing.
    pub identity: Option<Arc<str>>,
    /// Who may vouch for servers.
    pub authorities: Authorities,
    /// Who servers may be. Empty: whomever the authorities vouch for.
    pub accepted: Box<[SanMatcher]>,
    /// The name to ask for.
    pub server_name: ServerName,
}

/// Where authorities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// The certificate provider of this name.
    Provider(Arc<str>),
    /// The operating system's (`system_root_certs`, gRFC A82).
    System,
}

/// The name that a client asks for in a handshake (gRFC A101).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerName {
    /// `sni`: the name where no other applies; `None` to ask for none.
    pub fixed: Option<Arc<str>>,
    /// `auto_host_sni`: the endpoint's hostname comes first.
    pub of_endpoint: bool,
    /// `auto_sni_san_validation`: where a name was asked for, the certificate must be for it, and
    /// what is otherwise accepted does not count.
    pub must_match: bool,
}

impl ServerName {
    /// The name to ask an endpoint called `hostname` for.
    #[must_use]
    pub fn of<'a>(&'a self, hostname: Option<&'a str>) -> Option<&'a str> {
        hostname.filter(|name| self.of_endpoint && !name.is_empty()).or(self.fixed.as_deref())
    }
}

/// TLS towards clients (`DownstreamTlsContext`, gRFC A29).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate provider whose identity is presented.
    pub identity: Arc<str>,
    /// What is asked of clients.
    pub clients: Clients,
    /// The protocols that it speaks (`alpn_protocols`), the best one first. Empty: HTTP/2 and
    /// HTTP/1.1.
    pub protocols: Box<[Arc<str>]>,
}

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// No certificate.
    Anonymous,
    /// A certificate if they have one; one that is not accepted ends the handshake.
    Optional(ClientRules),
    /// A certificate (`require_client_certificate`).
    Required(ClientRules),
}

/// Which clients are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRules {
    /// The certificate provider whose authorities may vouch for them.
    pub authorities: Arc<str>,
    /// Who they may be. Empty: whomever the authorities vouch for.
    pub accepted: Box<[SanMatcher]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_names_itself_only_where_it_may() {
        let name = |fixed: Option<&str>, of_endpoint| ServerName {
            fixed: fixed.map(Into::into),
            of_endpoint,
            must_match: false,
        };
        for (name, hostname, expect) in [
            (name(None, false), Some("host"), None),
            (name(Some("sni"), false), Some("host"), Some("sni")),
            (name(Some("sni"), true), Some("host"), Some("host")),
            (name(Some("sni"), true), Some(""), Some("sni")),
            (name(Some("sni"), true), None, Some("sni")),
            (name(None, true), None, None),
        ] {
            assert_eq!(name.of(hostname), expect, "{name:?} {hostname:?}");
        }
    }
}
