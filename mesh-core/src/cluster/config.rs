//! How to use a cluster: the validated `Cluster` resource.

use std::sync::Arc;
use std::time::Duration;

use super::assignment::Assignment;
use super::balancing::LoadBalancing;
use super::labels::Labels;
use super::security::Security;
use crate::breaker;
use crate::outlier::{self, Percent};
use crate::request::RoutingPriority;
use crate::retry;

/// How to find and use a cluster's endpoints.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's resource name.
    pub name: Arc<str>,
    /// Where its endpoints come from.
    pub discovery: Discovery,
    /// How an endpoint is chosen for a call.
    pub lb: LoadBalancing,
    /// How its endpoints are spoken to.
    pub upstream: Upstream,
    /// How the connections to them are secured.
    pub security: Security,
    /// How many connections, and for how long.
    pub connections: Connections,
    /// How much may be under way at once, of requests of `Default` priority.
    pub limits: Limits,
    /// The same of HTTP requests of `High` priority, which are counted apart.
    pub high: Limits,
    /// What bounds the retries under way (`retry_budget` or `max_retries` of `circuit_breakers`),
    /// of requests of `Default` priority.
    pub retries: Option<retry::Limit>,
    /// The same of `High` priority.
    pub high_retries: Option<retry::Limit>,
    /// Where less than this share of a priority's endpoints is left by outlier detection, HTTP
    /// requests go to all of them. Default 50 %
    /// (`common_lb_config.healthy_panic_threshold`).
    pub panic_threshold: Percent,
    /// When endpoints get no calls for a while. Default: never (`outlier_detection`).
    pub outlier: Option<outlier::Config>,
    /// When an endpoint gets no calls by what its own answers say, without comparing it with others.
    /// Default: never (`mesh.breaker` in the metadata).
    pub breaker: Option<Arc<breaker::Config>>,
}

impl Config {
    /// A cluster named `name` with every setting at its default.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, discovery: Discovery) -> Self {
        Self {
            name: name.into(),
            discovery,
            lb: LoadBalancing::default(),
            upstream: Upstream::Http2,
            security: Security::default(),
            connections: Connections::default(),
            limits: Limits::default(),
            high: Limits::default(),
            retries: None,
            high_retries: None,
            panic_threshold: Percent::HALF,
            outlier: None,
            breaker: None,
        }
    }

    /// How much of requests of `priority` may be under way at once.
    #[must_use]
    pub fn limits_of(&self, priority: RoutingPriority) -> &Limits {
        match priority {
            RoutingPriority::Default => &self.limits,
            RoutingPriority::High => &self.high,
        }
    }

    /// What bounds the retries under way of requests of `priority`.
    #[must_use]
    pub fn retries_of(&self, priority: RoutingPriority) -> Option<retry::Limit> {
        match priority {
            RoutingPriority::Default => self.retries,
            RoutingPriority::High => self.high_retries,
        }
    }
}

/// Where a cluster's endpoints come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Discovery {
    /// `EDS`: a `ClusterLoadAssignment` of this name.
    Eds {
        /// `service_name`, or the cluster's own name.
        service: Arc<str>,
    },
    /// `STATIC`: written in the cluster itself.
    Static(Arc<Assignment>),
    /// `STRICT_DNS`: every address of every name is an endpoint.
    StrictDns {
        /// Each name, with the locality it belongs to.
        hosts: Arc<[HostPort]>,
        /// Time between resolutions; default 5 s (`dns_refresh_rate`).
        refresh: Duration,
    },
    /// `LOGICAL_DNS`: all addresses of the name are one endpoint (gRFC A37, A61).
    LogicalDns {
        /// The name.
        host: HostPort,
        /// Time between resolutions; default 5 s (`dns_refresh_rate`).
        refresh: Duration,
    },
    /// An aggregate of other clusters, tried in order (gRFC A37).
    Aggregate(Arc<[Arc<str>]>),
}

/// A DNS name and port, and what its addresses become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The name to resolve.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// Index of the locality in the cluster's `load_assignment`.
    pub locality: usize,
    /// The place.
    pub name: Arc<super::LocalityName>,
    /// Share of the priority's traffic of that locality; at least 1.
    pub locality_weight: u32,
    /// 0 is tried first.
    pub priority: u32,
    /// Weight of each address.
    pub weight: u32,
    /// Labels of each address.
    pub labels: Option<Arc<Labels>>,
    /// What the metadata of each address says under `envoy.lb`.
    pub metadata: Option<Arc<Labels>>,
}

/// How the endpoints of a cluster are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    #[default]
    Http2,
}

/// How many connections to an endpoint, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Bound on one attempt: TCP and HTTP/2 preface. Default 5 s (`connect_timeout`).
    pub connect_timeout: Duration,
    /// Connections to one endpoint at the most; default 10 (gRFC A105 caps it there).
    pub per_endpoint: u32,
    /// Closes a connection that carried no request for so long. Default 30 min.
    pub idle_timeout: Option<Duration>,
    /// Replaces a connection that is so old; its requests go on. Default: never
    /// (`max_connection_duration`).
    pub max_age: Option<Duration>,
    /// Replaces a connection after so many requests. Default: never
    /// (`max_requests_per_connection`).
    pub max_requests: Option<u32>,
    /// Pings that notice a dead peer. Default: none.
    pub keepalive: Option<Keepalive>,
    /// Concurrent requests on one HTTP/2 connection at the most, besides the peer's own limit
    /// (`Http2ProtocolOptions.max_concurrent_streams`).
    pub max_concurrent_streams: Option<u32>,
    /// HTTP/2 receive window of one stream, in bytes. Default 1 MiB.
    pub stream_window: u32,
    /// HTTP/2 receive window of the connection, in bytes. Default 4 MiB.
    pub connection_window: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            per_endpoint: 10,
            idle_timeout: Some(Duration::from_secs(30 * 60)),
            max_age: None,
            max_requests: None,
            keepalive: None,
            max_concurrent_streams: None,
            stream_window: 1 << 20,
            connection_window: 4 << 20,
        }
    }
}

/// HTTP/2 pings on a connection (`Http2ProtocolOptions.connection_keepalive`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Time between pings.
    pub interval: Duration,
    /// How long to wait for the answer before the connection is closed.
    pub timeout: Duration,
}

/// How much may be under way to a cluster at once (`circuit_breakers`, gRFC A32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests sent and not ended; a further one is refused. Default 1024.
    pub max_requests: u32,
    /// HTTP requests waiting for a connection; a further one is refused. Default 1024. gRPC calls
    /// are not bound by it (gRFC A32).
    pub max_pending: u32,
    /// Connections to all endpoints together; more than one to an endpoint are opened only below
    /// it. Default 1024. Connections carry requests of both priorities: the limit of `Default` is
    /// theirs.
    pub max_connections: u32,
    /// Whether [`Cluster::remaining`](super::Cluster::remaining) says what is left. Default: no.
    pub track_remaining: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_requests: 1024,
            max_pending: 1024,
            max_connections: 1024,
            track_remaining: false,
        }
    }
}
