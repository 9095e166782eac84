use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use super::{Overrides, Redirect, Weighted};
use crate::hedge;
use crate::request::{RequestHead, RoutingPriority};
use crate::retry;
use crate::rng::Rng;

/// What happens to a request that a route matches.
///
/// gRPC calls can only be forwarded; on a client any other action fails them as UNAVAILABLE, and on
/// a server everything but [`NonForwarding`](Self::NonForwarding) does (gRFC A28, A36).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// It is sent to a cluster.
    Forward(Forward),
    /// It is answered at once (Envoy's `DirectResponseAction`).
    DirectResponse {
        /// The status of the answer.
        status: StatusCode,
        /// The body of the answer.
        body: Bytes,
    },
    /// It is answered with another place to go to.
    Redirect(Redirect),
    /// It is served here: the action of routes on servers (gRFC A36).
    NonForwarding,
    /// The control plane asked for something that is not understood; the reason for people.
    Unsupported(Arc<str>),
}

/// How a request is sent on (Envoy's `RouteAction`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forward {
    /// Which cluster it is sent to.
    pub cluster: ClusterChoice,
    /// When it is sent again. Default: never. The parser fills in that of the virtual host where
    /// the route has none (gRFC A44).
    pub retry: Option<Arc<retry::Policy>>,
    /// When it is sent twice at once. Default: never. The parser does the same.
    pub hedge: Option<hedge::Policy>,
    /// Whether attempts are numbered (`VirtualHost.include_request_attempt_count`).
    pub counted: retry::Counted,
    /// Whether responses say in `x-envoy-attempt-count` how often the request was sent
    /// (`VirtualHost.include_attempt_count_in_response`).
    pub counted_in_response: retry::Counted,
    /// Which of the cluster's limits HTTP requests count against (`RouteAction.priority`). gRPC
    /// calls always count as `Default` (gRFC A32).
    pub priority: RoutingPriority,
}

impl Forward {
    /// Sends requests to `cluster`, once.
    #[must_use]
    pub fn new(cluster: ClusterChoice) -> Self {
        let (counted, counted_in_response) = Default::default();
        let priority = RoutingPriority::default();
        Self { cluster, retry: None, hedge: None, counted, counted_in_response, priority }
    }
}

/// How the cluster of a request is chosen. Once per request: retries stay with the choice
/// (gRFC A31).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClusterChoice {
    /// Always this one.
    One(ClusterIndex),
    /// By chance, in proportion to weights.
    Weighted(Weighted),
    /// The one that this request header names (Envoy's `cluster_header`).
    Header(HeaderName),
}

/// A cluster by its position in [`Table::clusters`](super::Table::clusters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterIndex(pub(super) u32);

impl ClusterIndex {
    /// The position, to index arrays with that run parallel to the clusters of the table.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The cluster that was chosen for a request.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A cluster that the table names.
    Known {
        /// Which one.
        cluster: ClusterIndex,
        /// What a weighted cluster changes about filters, on top of the route.
        overrides: Option<&'a Overrides>,
    },
    /// A cluster that the request names; the table may or may not know it.
    Named(&'a str),
    /// The request names no cluster in this header, or none that is text.
    Unnamed(&'a HeaderName),
}

impl ClusterChoice {
    /// Chooses for the request `head`.
    ///
    /// Takes one number from `rng` for [`Weighted`](Self::Weighted) and none for the others. Of a
    /// header with several values the first counts.
    #[must_use]
    pub fn choose<'a>(&'a self, head: &RequestHead<'a>, rng: &mut dyn Rng) -> Target<'a> {
        match self {
            Self::One(cluster) => Target::Known { cluster: *cluster, overrides: None },
            Self::Weighted(weighted) => {
                let entry = weighted.choose(rng);
                Target::Known { cluster: entry.cluster, overrides: Some(&entry.overrides) }
            }
            Self::Header(name) => {
                let value = head.values(name).next().and_then(|value| value.to_str().ok());
                value.filter(|name| !name.is_empty()).map_or(Target::Unnamed(name), Target::Named)
            }
        }
    }

    /// Every cluster that may be chosen and that the config names.
    pub fn clusters(&self) -> impl Iterator<Item = ClusterIndex> {
        let (one, many) = match self {
            Self::One(cluster) => (Some(*cluster), None),
            Self::Weighted(weighted) => (None, Some(weighted.clusters())),
            Self::Header(_) => (None, None),
        };
        let many = many.into_iter().flatten().map(|entry| entry.cluster);
        one.into_iter().chain(many)
    }
}
