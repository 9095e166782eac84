use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Keepalive};
use crate::filter::{ConnectionFilter, Denial};
use crate::identity::{Forwarded, Peer, ServerTls};
use crate::listener::{Connection, Selector};
use crate::request::Paths;
use crate::route::Table;
use crate::snapshot::{Chains, ClusterSlot, HttpFilter, Stamp};

/// One complete configuration of a server.
#[derive(Clone, Debug)]
pub struct ServerSnapshot {
    /// The name of its listener.
    pub listener: Arc<str>,
    /// Which of the server's configurations this is.
    pub stamp: Stamp,
    /// Goes up with every listener, and not with its routes.
    pub epoch: u64,
    /// What is looked at before a chain is chosen.
    pub inspection: Inspection,
    /// Chooses the chain of a connection.
    pub selector: Arc<Selector>,
    /// The chains in the order that the selector knows.
    pub chains: Arc<[Arc<FilterChain>]>,
    /// The chain of connections that no other is for (`default_filter_chain`).
    pub default: Option<Arc<FilterChain>>,
}

/// What is looked at of a connection before a chain is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inspection {
    /// Its addresses only.
    #[default]
    Addresses,
    /// Whether it begins with a TLS handshake, too (`tls_inspector`).
    FirstByte,
    /// The name that it asks for and the protocols that it offers, too.
    ClientHello,
}

/// What becomes of the connections of a filter chain.
#[derive(Clone, Debug)]
pub struct FilterChain {
    /// Its name, for people; may be empty.
    pub name: Arc<str>,
    /// How its connections are secured (`transport_socket`, gRFC A29); `None` is plain text.
    pub security: Option<Arc<ServerTls>>,
    /// What requests say of who has connected.
    pub forwarded: Forwarded,
    /// Who may connect: all of these must admit the peer.
    pub filters: Arc<[Arc<dyn ConnectionFilter>]>,
    /// Bounds of its connections.
    pub connections: Connections,
    /// What its requests are decided by.
    pub routing: Routing,
}

/// Bounds of a connection that the control plane may set. `None` is the server's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Closes a connection without requests after so long
    /// (`common_http_protocol_options.idle_timeout`). Zero is never.
    pub idle_timeout: Option<Duration>,
    /// Drains a connection that is so old (`common_http_protocol_options.max_connection_duration`).
    pub max_age: Option<Duration>,
    /// How long the head of an HTTP/1 request may take (`request_headers_timeout`).
    pub header_timeout: Option<Duration>,
    /// Concurrent streams of an HTTP/2 connection
    /// (`http2_protocol_options.max_concurrent_streams`).
    pub max_concurrent_streams: Option<u32>,
    /// The size of a request's header fields in bytes (`max_request_headers_kb`).
    pub max_header_bytes: Option<u32>,
    /// How many header fields a request may have (`common_http_protocol_options.max_headers_count`).
    pub max_header_fields: Option<u32>,
    /// What becomes of header fields whose names have underscores
    /// (`common_http_protocol_options.headers_with_underscores_action`).
    pub underscores: Underscores,
    /// Pings that notice a dead client (`http2_protocol_options.connection_keepalive`).
    pub keepalive: Option<Keepalive>,
}

/// What becomes of header fields whose names have underscores, which some applications take for
/// hyphens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// They are fields as all others are.
    #[default]
    Allow,
    /// The request is refused.
    Refuse,
    /// They are removed.
    Drop,
}

/// What the requests of a filter chain are decided by.
#[derive(Clone, Debug)]
pub enum Routing {
    /// These routes.
    Ready(Arc<Routes>),
    /// There are none that can be used: requests fail (UNAVAILABLE, gRFC A36).
    Broken(Arc<str>),
}

/// Routes with the filters of their connection manager.
#[derive(Debug)]
pub struct Routes {
    /// The routes.
    pub table: Arc<Table>,
    /// The filters of each.
    pub chains: Arc<Chains>,
    /// The clusters that the filters send side calls to.
    pub clusters: Box<[(Arc<str>, ClusterSlot)]>,
    /// A bound on all requests (`common_http_protocol_options.max_stream_duration`).
    pub max_stream_duration: Option<Duration>,
    /// How paths are rewritten before routes are looked for.
    pub paths: Paths,
}

impl FilterChain {
    /// Counts a new connection, before its handshake.
    ///
    /// # Errors
    /// The first filter that has had too many says why.
    pub fn arrive(&self, now: Instant) -> Result<(), Denial> {
        self.filters.iter().try_for_each(|filter| filter.arrive(now))
    }

    /// Whether `peer` may connect.
    ///
    /// # Errors
    /// The first filter that denies it says why.
    pub fn admit(&self, peer: &Peer) -> Result<(), Denial> {
        self.filters.iter().try_for_each(|filter| filter.admit(peer))
    }
}

impl ServerSnapshot {
    /// The chain for `connection`; `None` if it is to be closed without a byte.
    #[must_use]
    pub fn chain(&self, connection: &Connection<'_>) -> Option<&Arc<FilterChain>> {
        match self.selector.select(connection) {
            Some(at) => self.chains.get(at),
            None => self.default.as_ref(),
        }
    }

    /// The chain at the same place as `chain` of the snapshot `before`, which is of the same epoch.
    #[must_use]
    pub fn same_chain(&self, before: &Self, chain: &Arc<FilterChain>) -> Option<&Arc<FilterChain>> {
        if self.epoch != before.epoch {
            return None;
        }
        match before.chains.iter().position(|other| Arc::ptr_eq(other, chain)) {
            Some(at) => self.chains.get(at),
            None => self.default.as_ref(),
        }
    }
}

impl Routes {
    /// The routes of `table`, which pass `filters`.
    #[must_use]
    pub fn new(table: Arc<Table>, filters: &[HttpFilter], limit: Option<Duration>) -> Self {
        let chains = Arc::new(Chains::new(filters, &table));
        let max_stream_duration = limit.filter(|limit| !limit.is_zero());
        let (clusters, paths) = (Box::default(), Paths::default());
        Self { table, chains, clusters, max_stream_duration, paths }
    }

    /// The same for paths that are rewritten by `paths`.
    #[must_use]
    pub fn rewriting(self, paths: Paths) -> Self {
        Self { paths, ..self }
    }

    /// The same routes and filters, with what they remember, which send side calls to `clusters`.
    #[must_use]
    pub fn with_clusters(
        &self,
        clusters: impl IntoIterator<Item = (Arc<str>, ClusterSlot)>,
    ) -> Self {
        Self {
            table: self.table.clone(),
            chains: self.chains.clone(),
            clusters: clusters.into_iter().collect(),
            max_stream_duration: self.max_stream_duration,
            paths: self.paths,
        }
    }

    /// The cluster called `name`, if it can be used.
    ///
    /// # Errors
    /// What is wrong with it; `None` if no filter has named it.
    pub fn cluster(&self, name: &str) -> Result<&Arc<Cluster>, Option<Arc<str>>> {
        match self.clusters.iter().find(|(known, _)| **known == *name) {
            Some((_, ClusterSlot::Ready(cluster))) => Ok(cluster),
            Some((_, ClusterSlot::Broken(why))) => Err(Some(why.clone())),
            None => Err(None),
        }
    }
}
