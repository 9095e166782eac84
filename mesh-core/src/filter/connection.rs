//! Filters of connections: who may connect at all.

use std::fmt;
use std::sync::Arc;

use crate::identity::Peer;

/// A configured filter of connections, such as network RBAC.
///
/// Asked once for each connection, when its handshake is over and nothing of it is served.
pub trait ConnectionFilter: Send + Sync + fmt::Debug {
    /// Whether `peer` may go on.
    ///
    /// # Errors
    /// The rule that denies it: for logs, never for the peer.
    fn admit(&self, peer: &Peer) -> Result<(), Arc<str>>;
}

/// Makes connection filters of one kind from their configuration.
pub trait ConnectionFactory: Send + Sync {
    /// The type URL of the configuration message,
    /// such as `type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC`.
    fn type_url(&self) -> &str;

    /// The filter that the message describes.
    ///
    /// # Errors
    /// What is wrong, with the field path; the resource is rejected with it.
    fn build(&self, message: &[u8]) -> Result<Arc<dyn ConnectionFilter>, String>;
}
