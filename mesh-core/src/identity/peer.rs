//! What is known of the other side of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use super::spiffe_id::SpiffeId;

/// The other side of a connection, as the connection has shown it.
///
/// Made once per connection; authorization, limits and logs of all its requests read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Where it connects from; `None` on a Unix domain socket.
    pub remote: Option<SocketAddr>,
    /// Where it has connected to; `None` on a Unix domain socket.
    pub local: Option<SocketAddr>,
    /// What the TLS handshake has settled; `None` on a connection in plain text.
    pub session: Option<Session>,
}

/// What a TLS handshake has settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// The name that the client asked for (SNI).
    pub server_name: Option<Arc<str>>,
    /// The protocol agreed on (ALPN).
    pub protocol: Option<Arc<[u8]>>,
    /// The peer's certificate, verified; `None` if it has shown none.
    pub certificate: Option<Certificate>,
}

/// A peer's certificate after it was verified, as far as decisions read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The SPIFFE ID that it is for; `None` if it was verified as something else.
    pub spiffe_id: Option<SpiffeId>,
    /// Its URI names in order.
    pub uris: Box<[Arc<str>]>,
    /// Its DNS names in order.
    pub dns_names: Box<[Arc<str>]>,
    /// Its subject (RFC 2253).
    pub subject: Arc<str>,
    /// The certificate itself (DER).
    pub der: Arc<[u8]>,
}

impl Peer {
    /// The certificate that the peer has shown, if any.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.session.as_ref()?.certificate.as_ref()
    }

    /// The SPIFFE ID that the peer has proved, if any.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&SpiffeId> {
        self.certificate()?.spiffe_id.as_ref()
    }
}
