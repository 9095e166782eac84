//! Serving: connections and requests go the way that the control plane says (gRFC A36).
//!
//! ```text
//! accept ─► filter chain ─► TLS ─► protocol ─► deadline ─► route ─► filters ─► the user's service
//!    │     (addresses, hello)    (HTTP/1.1 or HTTP/2: ALPN, or the first bytes)
//!    └─ nothing is served without configuration; a new listener drains old connections
//! ```
//!
//! HTTP/2 is driven through the `h2` crate, one task for each stream; HTTP/1.1 goes through hyper.
//! One port carries both, and gRPC beside HTTP.

mod accept;
#[cfg(feature = "testing")]
pub(crate) mod alone;
mod answer;
mod body;
mod builder;
mod call;
mod connection;
mod date;
mod drain;
mod filters;
mod head;
mod outgoing;
mod path;
mod peer;
mod probes;
pub(crate) mod secure;
mod settings;
mod side;
pub mod signal;
mod socket;
mod state;
mod tenant;
#[cfg(test)]
mod tests;

pub use self::body::ServerBody;
pub use self::builder::Server;
pub use self::peer::{Accepted, Peer};
pub(crate) use self::socket::Socket;
pub use self::state::ServingState;
pub(crate) use self::state::Source;
pub use self::tenant::Tenant;
