//! One open connection, as calls see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use mesh_core::balance::{Closed, ConnectionId};
use mesh_core::breaker;
use mesh_core::cluster::{Cluster, Endpoint, Limits};
use mesh_core::identity::Session;
use mesh_core::outlier::Counter;

use super::h1;
use super::signals::Signals;
use super::watch::Watch;
use crate::runtime;

/// A connection that held for so long was worth opening, whether it answered a call or not.
const SOUND: Duration = Duration::from_secs(1);

/// A connection that calls can be sent on.
///
/// The pool and every call under way hold it. When the last of them lets go, the protocol's own
/// handle is dropped and the connection closes by itself, with every stream answered.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) wire: Wire,
    /// What the TLS handshake has settled; `None` in plain text.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) gauge: Arc<Gauge>,
    /// What counts the attempts at the endpoint, from when its cluster first detects outliers.
    pub(crate) counter: OnceLock<Arc<Counter>>,
    /// What the breaker of the endpoint goes by, if it has one.
    pub(crate) breaker: ArcSwapOption<breaker::Config>,
    /// The leaf of an aggregate that the endpoint is of.
    pub(crate) leaf: ArcSwapOption<Leaf>,
    /// Who waits for a free stream, and who hears that the connection is spent.
    pub(crate) signals: Arc<Signals>,
    /// The runtime that drives the connection; pumps of request bodies run there too.
    pub(crate) runtime: tokio::runtime::Handle,
    max_requests: u32,
}

/// A leaf of an aggregate, which the calls to its endpoints count against.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) limits: [Limits; 2],
}

pub(crate) enum Wire {
    H2(::h2::client::SendRequest<Bytes>),
    H1(Mutex<h1::Sender>),
}

/// What the calls and the driver tell each other.
#[derive(Debug)]
pub(crate) struct Gauge {
    opened: Instant,
    /// Exchanges under way.
    streams: AtomicU32,
    /// How many there may be.
    limit: AtomicU32,
    /// Exchanges started so far.
    started: AtomicU32,
    /// Whether it is known to have been of use.
    sound: AtomicBool,
    /// No new exchanges.
    spent: AtomicBool,
    /// The peer, which had answered, has ended it in good order.
    orderly: AtomicBool,
}

impl Gauge {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            opened: runtime::now(),
            streams: AtomicU32::new(0),
            limit: AtomicU32::new(limit),
            started: AtomicU32::new(0),
            sound: AtomicBool::new(false),
            spent: AtomicBool::new(false),
            orderly: AtomicBool::new(false),
        }
    }

    /// Sets how many exchanges there may be; `true` if that is more than before.
    pub(crate) fn set_limit(&self, limit: u32) -> bool {
        self.limit.swap(limit, Ordering::Relaxed) < limit
    }

    /// Whether it was of use, so that its end is no failure of the endpoint.
    pub(crate) fn was_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
            || runtime::now().saturating_duration_since(self.opened) >= SOUND
    }

    /// It was of use: a response has arrived, or its end is nobody's fault.
    pub(crate) fn set_sound(&self) {
        if !self.sound.load(Ordering::Relaxed) {
            self.sound.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn streams(&self) -> u32 {
        self.streams.load(Ordering::Relaxed)
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// It ended in good order: if anything was sent, that has been answered or given up.
    pub(crate) fn close(&self) {
        if self.started() > 0 {
            self.set_sound();
        }
    }

    /// A peer that had answered has ended it in good order, whether anything was sent or not.
    pub(crate) fn set_orderly(&self) {
        self.orderly.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_orderly(&self) -> bool {
        self.orderly.load(Ordering::Relaxed)
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
        session: Option<Arc<Session>>,
        max_requests: Option<u32>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            endpoint,
            wire,
            session,
            gauge,
            counter: OnceLock::new(),
            breaker: ArcSwapOption::empty(),
            leaf: ArcSwapOption::empty(),
            signals,
            runtime: tokio::runtime::Handle::current(),
            max_requests: max_requests.unwrap_or(u32::MAX),
        })
    }

    /// Takes one of the connection's streams, if one is free.
    #[inline]
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Stream> {
        let gauge = &*self.gauge;
        if gauge.spent.load(Ordering::Relaxed) {
            return None;
        }
        // Never counts a stream it does not get: a waiter that looks just then would miss one.
        let limit = gauge.limit.load(Ordering::Relaxed);
        let one_more = |streams| if streams < limit { Some(streams + 1) } else { None };
        gauge.streams.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let started = gauge.started.fetch_add(1, Ordering::Relaxed) + 1;
        if started >= self.max_requests {
            self.retire("it has carried its share of requests", End::Used);
        }
        self.endpoint.state.start();
        Some(Stream(self.clone(), Watch::default()))
    }

    /// Takes no new exchanges from now on; those under way go on.
    pub(crate) fn retire(&self, why: &str, end: End) {
        if end != End::Broken {
            self.gauge.set_sound();
        }
        if self.gauge.spend() {
            let idle = end == End::Idle;
            let closed = Closed {
                why: why.into(),
                served: self.gauge.was_sound(),
                orderly: end != End::Broken,
                idle,
            };
            self.signals.closed(self.id, &self.endpoint, closed, false);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("address", &self.endpoint.address)
            .field("session", &self.session)
            .field("gauge", &self.gauge)
            .finish_non_exhaustive()
    }
}

/// Why a connection takes no new exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nobody has used it for long.
    Idle,
    /// It has done what it was there for; the next one is opened at once.
    Used,
    /// It broke; that counts as a failure of the endpoint unless it was of use before.
    Broken,
}

/// One of a connection's streams, taken. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Stream(pub(crate) Arc<Connection>, pub(super) Watch);

impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        if self.is_on_trial() {
            self.end_trial();
        }
        self.0.endpoint.state.end();
        // Before the look at who waits, as waiters are counted before they look (both `SeqCst`).
        self.0.gauge.streams.fetch_sub(1, Ordering::SeqCst);
        self.0.signals.stream_freed();
    }
}
