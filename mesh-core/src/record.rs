//! What decisions report, and to whom.
//!
//! Decisions return their reasons; the shell hands them to one [`Recorder`]. The default does
//! nothing, and sinks for metrics, traces and logs implement it.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// How a call or an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A response with this HTTP status and, for gRPC, status code arrived in full.
    Response {
        /// HTTP status.
        http: u16,
        /// `grpc-status`, if there was one.
        grpc: Option<u16>,
    },
    /// The mesh itself refused or failed the call.
    Failed(Reason),
    /// The caller went away.
    Cancelled,
}

/// Why the mesh failed a call. The words are part of the vocabulary of metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No configuration for the target (yet, or any more).
    NoConfig,
    /// No virtual host or no route matched, or the matched one cannot serve a client.
    NoRoute,
    /// The route's cluster is unknown or broken.
    NoCluster,
    /// No endpoint could be reached, or there is none.
    NoEndpoint,
    /// Dropped by the control plane's `drop_overloads`.
    Dropped,
    /// A limit was reached.
    Overloaded,
    /// The deadline passed.
    Deadline,
    /// The connection or the stream failed under the call.
    Transport,
    /// A filter answered.
    Filter,
}

impl Reason {
    /// The word for it in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoConfig => "no_config",
            Self::NoRoute => "no_route",
            Self::NoCluster => "no_cluster",
            Self::NoEndpoint => "no_endpoint",
            Self::Dropped => "dropped",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline",
            Self::Transport => "transport",
            Self::Filter => "filter",
        }
    }
}

/// Something worth counting.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A call ended.
    Call {
        /// The target, such as `xds:///greeter`.
        target: &'a str,
        /// The cluster it was sent to, if it came that far.
        cluster: Option<&'a str>,
        /// How it ended.
        outcome: Outcome,
        /// From the first look at the request to its end.
        elapsed: Duration,
    },
    /// The outcome of an attempt called for another one.
    Retry {
        /// The target.
        target: &'a str,
        /// The cluster.
        cluster: Option<&'a str>,
        /// What followed.
        step: Retry<'a>,
    },
    /// A connection to an endpoint changed.
    Connection {
        /// The cluster.
        cluster: &'a str,
        /// The endpoint's address.
        address: &'a str,
        /// What happened.
        change: Connection<'a>,
    },
    /// Outlier detection has found an endpoint, or lets it return (gRFC A91).
    Outlier {
        /// The cluster; of an aggregate, the leaf.
        cluster: &'a str,
        /// The endpoint's address.
        address: &'a str,
        /// What becomes of it.
        change: Outlier,
    },
    /// The breaker of an endpoint has begun to refuse calls, or lets them pass again.
    Breaker {
        /// The cluster; of an aggregate, the leaf.
        cluster: &'a str,
        /// The endpoint's address.
        address: &'a str,
        /// What it does.
        change: Breaker,
    },
    /// A server has closed a connection: before its first request, or because its peer is not
    /// accepted any more.
    Refused {
        /// Where it came from; `None` on a Unix domain socket.
        remote: Option<SocketAddr>,
        /// Why. Never has key material in it.
        why: &'a str,
    },
    /// What handshakes present or trust changed, or should have.
    Identity {
        /// The name of the certificate provider.
        provider: &'a str,
        /// What happened.
        change: Renewal<'a>,
    },
    /// A request that policies refuse was let in by an emergency.
    BreakGlass {
        /// Who has asked for it, and why.
        title: &'a str,
    },
}

/// What follows from an attempt whose outcome calls for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry<'a> {
    /// The request is sent again.
    Again {
        /// Retries of the call so far, this one included.
        number: u32,
        /// The word of `retry_on` that holds.
        why: &'a str,
    },
    /// It is not; why, as [`Stop::as_str`](crate::retry::Stop::as_str) says it.
    Stopped(&'a str),
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection<'a> {
    /// It can carry requests.
    Opened,
    /// It could not be opened.
    Failed(&'a str),
    /// It is gone, or takes no new requests.
    Closed(&'a str),
}

/// What becomes of an endpoint that does worse than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outlier {
    /// It gets no calls.
    Ejected {
        /// What found it, such as `success_rate`.
        why: &'static str,
        /// It returns at the first sweep from then on.
        until: Instant,
    },
    /// It gets calls again, or has left the cluster.
    Restored,
    /// It stays although it was found.
    Spared {
        /// What found it.
        why: &'static str,
        /// `enforcement_percentage` or `max_ejection_overflow`.
        because: &'static str,
    },
}

/// What the breaker of an endpoint does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breaker {
    /// It refuses calls for so long, and then lets one find out how the endpoint is.
    Refuses(Duration),
    /// It lets calls pass.
    Passes,
}

/// What happened to an identity, or to the authorities that are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewal<'a> {
    /// A new one is in force.
    Renewed {
        /// When the certificate expires; `None` where there are only authorities.
        expires: Option<SystemTime>,
    },
    /// A new one could not be taken; what was in force stays.
    Failed(&'a str),
    /// There is none any more: no further handshake succeeds.
    Withdrawn(&'a str),
    /// The certificate in force expires soon, and none has come to replace it.
    Expiring {
        /// When.
        at: SystemTime,
    },
    /// The certificate in force has expired: handshakes fail.
    Expired {
        /// When.
        at: SystemTime,
    },
}

/// Is told what happens. Called on the request path: implementations are quick and never block.
pub trait Recorder: Send + Sync {
    /// Something happened.
    fn record(&self, event: &Event<'_>);
}
