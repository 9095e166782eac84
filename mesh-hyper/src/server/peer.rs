//! Who is on the other side, as the application sees it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::Extensions;
use mesh_core::identity;

/// The other side of a request's connection: in the extensions of each request, and with the
/// feature `axum` an extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub(super) Arc<identity::Peer>);

impl Deref for Peer {
    type Target = identity::Peer;

    fn deref(&self) -> &identity::Peer {
        &self.0
    }
}

#[cfg(feature = "axum")]
impl<S: Send + Sync> axum_core::extract::FromRequestParts<S> for Peer {
    type Rejection = http::StatusCode;

    /// Fails, with 500, only on a request that no [`Server`](super::Server) has received.
    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(http::StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A connection that has passed its handshake and the filters of its chain.
pub struct Accepted<'a> {
    pub(super) peer: &'a identity::Peer,
    pub(super) extensions: &'a mut Extensions,
    pub(super) is_refused: bool,
}

impl Accepted<'_> {
    /// The other side.
    #[must_use]
    pub fn peer(&self) -> &identity::Peer {
        self.peer
    }

    /// What each request of the connection has in its extensions.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions
    }

    /// Closes the connection without a byte.
    pub fn refuse(&mut self) {
        self.is_refused = true;
    }
}

impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("peer", &self.peer).finish_non_exhaustive()
    }
}

pub(super) type OnAccept = Arc<dyn Fn(&mut Accepted<'_>) + Send + Sync>;
