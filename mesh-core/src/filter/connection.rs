//! Filters of connections: who may connect at all.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::identity::Peer;

/// A configured filter of connections, such as network RBAC.
pub trait ConnectionFilter: Send + Sync + fmt::Debug {
    /// Counts a connection that has come. Asked once for each, before its handshake, in the order of
    /// the filters. Default: any may come.
    ///
    /// # Errors
    /// Why it may not go on.
    fn arrive(&self, now: Instant) -> Result<(), Denial> {
        let _ = now;
        Ok(())
    }

    /// Whether `peer` may go on. Asked for each connection when its handshake is over and nothing of
    /// it is served, and again under each later configuration.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, peer: &Peer) -> Result<(), Denial>;
}

/// Why a connection may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that denies it: for logs, never for the peer.
    pub rule: Arc<str>,
    /// How long the connection is held, without a byte, before it is closed.
    pub hold: Duration,
}

impl Denial {
    /// A denial by `rule` that closes at once.
    pub fn new(rule: impl Into<Arc<str>>) -> Self {
        Self { rule: rule.into(), hold: Duration::ZERO }
    }
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
