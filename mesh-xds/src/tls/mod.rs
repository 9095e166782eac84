//! TLS on rustls: whom a handshake accepts, and what it presents, read anew each time.
//!
//! ```text
//! Source ─► Credentials (keys loaded, roots and revocation lists parsed, once for each change)
//!             ├─► resolver: what to present                  ┐
//!             └─► PeerCheck: parse, SPIFFE ID, roots of its  ├─► client_config, server_config
//!                 trust domain, chain, revocation, names     ┘
//! connection ─► session: what the handshake has settled, for decisions above
//! ```
//!
//! The only place that adapts rustls: connections to management servers, the data plane and servers
//! use it. The decisions are `mesh_core::identity`'s. Nothing here opens a connection or waits.
//!
//! Sessions are never resumed, on either side: that would skip the checks of the peer.

mod check;
mod config;
mod credentials;
#[cfg(feature = "ads")]
pub(crate) mod der;
mod error;
mod leaf;
pub(crate) mod pem;
mod resolver;
mod revocation;
mod session;
mod subject;
#[cfg(test)]
#[cfg(feature = "dev-ca")]
pub(crate) mod tests;
mod verifier;

pub use check::{PeerCheck, Side};
pub use config::{
    Anonymous, ClientSettings, MinimumVersion, ServerSettings, client_config, server_config,
};
pub use credentials::Credentials;
pub(crate) use credentials::load;
pub use error::{TlsError, why, why_io};
pub(crate) use leaf::is_certificate;
pub use leaf::leaf;
pub use session::{certificate, digest, session};
