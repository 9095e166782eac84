//! How the connections to endpoints are secured.

use std::sync::Arc;

use super::endpoint::Endpoint;
use super::labels::Labels;
use crate::identity::ClientTls;

/// How the connections to the endpoints of a cluster are secured (`transport_socket` and
/// `transport_socket_matches`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// For endpoints that no match is for.
    pub default: Transport,
    /// In order: the first one that matches is taken.
    pub matches: Box<[TransportMatch]>,
}

/// What a connection is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Plain text.
    #[default]
    Plaintext,
    /// TLS. Where it cannot be had, there is no connection.
    Tls(Arc<ClientTls>),
}

/// Endpoints with certain labels, and how to secure connections to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportMatch {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Labels that an endpoint must have, if any.
    pub labels: Labels,
    /// How connections to it are secured.
    pub transport: Transport,
}

impl Security {
    /// How connections to `endpoint` are secured.
    #[must_use]
    pub fn transport(&self, endpoint: &Endpoint) -> &Transport {
        let has = |wanted: &Labels| match &endpoint.labels {
            Some(labels) => labels.has_all(wanted),
            None => wanted.is_empty(),
        };
        let found = self.matches.iter().find(|entry| has(&entry.labels));
        found.map_or(&self.default, |entry| &entry.transport)
    }

    /// The secrets that it names; one may stand twice.
    pub fn secrets(&self) -> impl Iterator<Item = &Arc<str>> {
        let matches = self.matches.iter().map(|entry| &entry.transport);
        let tls = std::iter::once(&self.default).chain(matches).filter_map(|one| match one {
            Transport::Tls(tls) => Some(tls),
            Transport::Plaintext => None,
        });
        tls.flat_map(|tls| tls.secrets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Address;
    use crate::identity::{Authorities, ServerName};

    #[test]
    fn the_first_match_decides() {
        let tls = |provider: &str| {
            Transport::Tls(Arc::new(ClientTls {
                identity: None,
                authorities: Authorities::Provider(provider.into()),
                accepted: Box::default(),
                server_name: ServerName::default(),
            }))
        };
        let entry = |labels: &[(&str, &str)], transport| TransportMatch {
            name: "".into(),
            labels: Labels::new(labels.iter().copied()),
            transport,
        };
        let endpoint = |labels: &[(&str, &str)]| {
            let labels = Labels::new(labels.iter().copied());
            let address = Address::Unix("x".into());
            Endpoint { labels: Some(labels.into()), ..Endpoint::new(address) }
        };
        let mut security = Security {
            default: tls("default"),
            matches: Box::new([
                entry(&[("tlsMode", "istio")], tls("istio")),
                entry(&[("tlsMode", "istio"), ("a", "b")], tls("never")),
            ]),
        };
        let istio = endpoint(&[("tlsMode", "istio"), ("a", "b")]);
        let other = endpoint(&[("tlsMode", "disabled")]);
        let bare = Endpoint { labels: None, ..endpoint(&[]) };
        assert_eq!(security.transport(&istio), &tls("istio"));
        assert_eq!(security.transport(&other), &tls("default"));
        assert_eq!(security.transport(&bare), &tls("default"));
        security.matches = Box::new([
            entry(&[("tlsMode", "istio")], tls("istio")),
            entry(&[], Transport::Plaintext),
        ]);
        assert_eq!(security.transport(&istio), &tls("istio"));
        assert_eq!(security.transport(&bare), &Transport::Plaintext);
    }
}
