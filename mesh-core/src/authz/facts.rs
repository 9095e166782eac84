//! What is known of a request or a connection when it is judged.

use std::net::SocketAddr;

use crate::identity::Peer;
use crate::metadata::Metadata;
use crate::request::{Protocol, RequestHead};
use crate::tenant::Tenant;

/// What is known of a request or a connection when it is judged.
///
/// Conditions on what is not known here are [`Unknown`](super::Truth::Unknown).
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub(super) head: Option<&'a RequestHead<'a>>,
    pub(super) peer: Option<&'a Peer>,
    pub(super) metadata: Option<&'a Metadata>,
    pub(super) route: Option<&'a Metadata>,
    /// Whether the path has only one reading.
    pub(super) path_is_plain: bool,
}

impl<'a> Facts<'a> {
    /// What is known of a request: its head, what filters have said of it, and who has sent it.
    #[must_use]
    pub fn request(
        head: &'a RequestHead<'a>,
        metadata: &'a Metadata,
        peer: Option<&'a Peer>,
    ) -> Self {
        let path_is_plain = head.protocol != Protocol::Grpc || head.names_grpc_method();
        Self { head: Some(head), peer, metadata: Some(metadata), route: None, path_is_plain }
    }

    /// What is known of a connection before its first request.
    #[must_use]
    pub fn connection(peer: &'a Peer) -> Self {
        Self { head: None, peer: Some(peer), metadata: None, route: None, path_is_plain: false }
    }

    /// The same, and the metadata of the route that the request falls under.
    #[must_use]
    pub fn on_route(mut self, metadata: &'a Metadata) -> Self {
        self.route = Some(metadata);
        self
    }

    /// The request, if it is one that is judged.
    #[must_use]
    pub fn head(&self) -> Option<&'a RequestHead<'a>> {
        self.head
    }

    /// Who has sent it.
    #[must_use]
    pub fn peer(&self) -> Option<&'a Peer> {
        self.peer
    }

    /// Whose it is, if that is known.
    #[must_use]
    pub fn tenant(&self) -> Option<&'a Tenant> {
        self.metadata?.tenant()
    }

    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.peer?.remote
    }

    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.peer?.local
    }
}
