//! What a `RateLimit` filter configures.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh_core::limit::{Rule, VirtualHostRules};
use mesh_core::matcher::Fraction;
use mesh_core::route::FieldChanges;

/// What a `RateLimit` filter configures.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) domain: Box<str>,
    /// The cluster of the service.
    pub(crate) cluster: Arc<str>,
    /// `:authority`; the cluster's name when empty.
    pub(crate) authority: Arc<str>,
    /// `initial_metadata`.
    pub(crate) metadata: HeaderMap,
    /// How long the answer may take (20 ms by default).
    pub(crate) timeout: Duration,
    /// Which of the route's rules count.
    pub(crate) stage: u32,
    pub(crate) kind: Kind,
    /// What requests are counted as; if there are none, the route says so.
    pub(crate) rules: Vec<Rule>,
    /// The share of requests that is asked about (`filter_enabled`).
    pub(crate) enabled: Fraction,
    /// The share of those over the limit that is refused (`filter_enforced`).
    pub(crate) enforced: Fraction,
    /// The share of requests that is refused when there is no answer (`failure_mode_deny`).
    pub(crate) denied_on_failure: Fraction,
    /// What those are answered with (500 by default).
    pub(crate) status_on_error: StatusCode,
    /// What requests over the limit are answered with (429 by default).
    pub(crate) status: StatusCode,
    /// What gRPC callers get.
    pub(crate) grpc: u8,
    /// `response_headers_to_add`, to requests over the limit.
    pub(crate) response: FieldChanges,
    /// Whether responses say how much is left.
    pub(crate) tells_rest: bool,
    /// Whether refusals say when to come again.
    pub(crate) tells_wait: bool,
    /// Whether refusals say that they are (`x-envoy-ratelimited`).
    pub(crate) tells_limited: bool,
    /// Where in the request's metadata the service's goes.
    pub(crate) namespace: Box<str>,
}

/// Which requests are counted, by their `x-envoy-internal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    External,
    Both,
}

/// What a route changes (`RateLimitPerRoute`).
#[derive(Clone, Debug, Default)]
pub(crate) struct OnRoute {
    pub(crate) virtual_host: VirtualHostRules,
    /// In place of the filter's and the route's, if there are any.
    pub(crate) rules: Vec<Rule>,
    pub(crate) domain: Option<Box<str>>,
}
