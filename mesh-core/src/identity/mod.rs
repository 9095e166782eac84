//! Who somebody is: SPIFFE IDs, and what a connection has shown of its peer.
//!
//! Values and decisions about them. Certificates are read, and handshakes made, elsewhere.
//!
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>

mod peer;
mod spiffe_id;
mod trust_domain;

pub use peer::{Certificate, Peer, Session};
pub use spiffe_id::{SpiffeId, SpiffeIdError};
pub use trust_domain::TrustDomain;
