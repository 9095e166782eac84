//! How a side of a connection is secured, as configuration says it.

use std::sync::Arc;

use super::provider::Provider;
use super::san::SanMatcher;

/// TLS towards the endpoints of a cluster (`UpstreamTlsContext`, gRFC A29, A82, A101).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// Whose identity is presented if the server asks; `None` to present nothing.
    pub identity: Option<Provider>,
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
    /// What this one gives.
    Provider(Provider),
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

impl ClientTls {
    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &Arc<str>> {
        let authorities = match &self.authorities {
            Authorities::Provider(provider) => Some(provider),
            Authorities::System => None,
        };
        self.identity.iter().chain(authorities).filter_map(Provider::secret)
    }
}

impl ServerTls {
    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &Arc<str>> {
        let authorities = match &self.clients {
            Clients::Optional(rules) | Clients::Required(rules) => Some(&rules.authorities),
            Clients::Anonymous => None,
        };
        std::iter::once(&self.identity).chain(authorities).filter_map(Provider::secret)
    }
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
    /// Whose identity is presented.
    pub identity: Provider,
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
    /// Whose authorities may vouch for them.
    pub authorities: Provider,
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
