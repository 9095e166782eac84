//! One address that can serve.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::labels::Labels;
use crate::breaker;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Address {
    /// TCP to an IP address and port.
    Socket(SocketAddr),
    /// A Unix domain socket, by its path.
    Unix(Arc<str>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// What the control plane says of an endpoint (`envoy.config.core.v3.HealthStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is known; used.
    #[default]
    Unknown,
    /// Used.
    Healthy,
    /// Not used.
    Unhealthy,
    /// Takes no new calls.
    Draining,
    /// Not used.
    Timeout,
    /// Not used (gRPC); Envoy uses it only when nothing better is left.
    Degraded,
}

impl Health {
    /// Whether the endpoint may get new calls (gRFC A27: healthy or unknown).
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Unknown | Self::Healthy)
    }
}

/// One endpoint as the control plane describes it, and the state that outlives descriptions.
#[derive(Debug)]
pub struct Endpoint {
    /// The first address to try; with `more`, what identifies the endpoint within its cluster.
    pub address: Address,
    /// Further addresses of the same endpoint, in order (gRFC A61).
    pub more: Box<[Address]>,
    /// `Endpoint.hostname`.
    pub hostname: Option<Arc<str>>,
    /// Share of its locality's traffic; at least 1.
    pub weight: u32,
    /// What the control plane says of it.
    pub health: Health,
    /// What decides how connections to it are secured (`envoy.transport_socket_match` in its
    /// metadata).
    pub labels: Option<Arc<Labels>>,
    /// What its metadata says under `envoy.lb`, numbers and truth values as texts.
    pub metadata: Option<Arc<Labels>>,
    /// What survives new descriptions of the same endpoint.
    pub state: Arc<EndpointState>,
}

impl Endpoint {
    /// An endpoint with one address, weight 1 and unknown health.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            more: Box::default(),
            hostname: None,
            weight: 1,
            health: Health::Unknown,
            labels: None,
            metadata: None,
            state: Arc::default(),
        }
    }

    /// Whether both descriptions are of the same endpoint.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.address == other.address && self.more == other.more
    }

    /// All addresses in order.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.more)
    }
}

/// Key that is equal for descriptions of the same endpoint ([`Endpoint::is_same`]).
#[derive(Clone, Debug)]
pub struct Identity(Arc<Endpoint>);

impl Identity {
    /// The description that it was made of.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl From<Arc<Endpoint>> for Identity {
    fn from(endpoint: Arc<Endpoint>) -> Self {
        Self(endpoint)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.address.hash(state);
        self.0.more.hash(state);
    }
}

/// What is known of an endpoint by using it.
#[derive(Debug, Default)]
pub struct EndpointState {
    active: AtomicU32,
    /// Made for the first call that asks.
    breaker: OnceLock<Box<breaker::State>>,
}

impl EndpointState {
    /// Calls sent to the endpoint and not ended yet.
    #[inline]
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// What its breaker knows, if its cluster has breakers.
    #[must_use]
    pub fn breaker(&self) -> &breaker::State {
        self.breaker.get_or_init(Box::default)
    }

    /// A call starts.
    #[inline]
    pub fn start(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that [`start`](Self::start) counted has ended.
    #[inline]
    pub fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}
