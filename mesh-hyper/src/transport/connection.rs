//! One open connection, as calls see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mesh_core::balance::{Closed, ConnectionId};
use mesh_core::cluster::Endpoint;

use super::h1;
use crate::pool::Signals;

/// A connection that calls can be sent on.
///
/// The pool and every call under way hold it. When the last of them lets go, the protocol's own
/// handle is dropped and the connection closes by itself, with every stream answered.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) wire: Wire,
    pub(crate) gauge: Arc<Gauge>,
    /// Who waits for a free stream, and who hears that the connection is spent.
    pub(crate) signals: Arc<Signals>,
    /// The runtime that drives the connection; pumps of request bodies run there too.
    pub(crate) runtime: tokio::runtime::Handle,
    max_requests: u32,
}

pub(crate) enum Wire {
    H2(::h2::client::SendRequest<Bytes>),
    H1(Mutex<h1::Sender>),
}

/// What the calls and the driver tell each other.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Exchanges under way.
    streams: AtomicU32,
    /// How many there may be.
    limit: AtomicU32,
    /// Exchanges started so far.
    started: AtomicU32,
    /// Whether a response ever arrived.
    served: AtomicBool,
    /// No new exchanges.
    spent: AtomicBool,
}

impl Gauge {
    pub(crate) fn set_limit(&self, limit: u32) -> bool {
        self.limit.swap(limit, Ordering::Relaxed) < limit
    }

    pub(crate) fn served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    pub(crate) fn set_served(&self) {
        if !self.served() {
            self.served.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn streams(&self) -> u32 {
        self.streams.load(Ordering::Relaxed)
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Takes no new exchanges from now on; `true` the first time.
    pub(crate) fn spend(&self) -> bool {
        !self.spent.swap(true, Ordering::Relaxed)
    }
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        endpoint: Arc<Endpoint>,
        wire: Wire,
        gauge: Arc<Gauge>,
        signals: Arc<Signals>,
        max_requests: Option<u32>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            endpoint,
            wire,
            gauge,
            signals,
            runtime: tokio::runtime::Handle::current(),
            max_requests: max_requests.unwrap_or(u32::MAX),
        })
    }

    /// Takes one of the connection's streams, if one is free.
    #[inline]
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Stream> {
        let gauge = &*self.gauge;
        if gauge.streams.fetch_add(1, Ordering::Relaxed) >= gauge.limit.load(Ordering::Relaxed)
            || gauge.spent.load(Ordering::Relaxed)
        {
            gauge.streams.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let started = gauge.started.fetch_add(1, Ordering::Relaxed) + 1;
        if started >= self.max_requests {
            self.retire("it has carried its share of requests", false);
        }
        self.endpoint.state.start();
        Some(Stream(self.clone()))
    }

    /// Takes no new exchanges from now on; those under way go on.
    pub(crate) fn retire(&self, why: &str, idle: bool) {
        if self.gauge.spend() {
            let closed = Closed { why: why.into(), served: self.gauge.served(), idle };
            self.signals.closed(self.id, &self.endpoint, closed, false);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("address", &self.endpoint.address)
            .field("gauge", &self.gauge)
            .finish_non_exhaustive()
    }
}

/// One of a connection's streams, taken. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Stream(pub(crate) Arc<Connection>);

impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        self.0.endpoint.state.end();
        self.0.gauge.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.signals.stream_freed();
    }
}
