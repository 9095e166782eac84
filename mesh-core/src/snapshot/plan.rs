//! What one call will do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use super::{ClusterSlot, Snapshot};
use crate::cluster::Cluster;
use crate::filter::Chain;
use crate::request::{Protocol, RequestHead, RoutingPriority};
use crate::retry::Asked;
use crate::rng::Rng;
use crate::route::{Action, NoRoute, Route, Target};

/// What one call will do. Holds what it needs, so a switch of configuration does not reach it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The route it falls under.
    pub route: Arc<Route>,
    /// Where it goes; retries stay there (gRFC A31).
    pub cluster: Arc<Cluster>,
    /// The filters it passes.
    pub chain: Chain,
    /// The listener's bound on calls whose route has none.
    pub max_stream_duration: Option<Duration>,
    /// [`Stamp::number`](super::Stamp::number) of the configuration that decided.
    pub stamp: u64,
}

impl Plan {
    /// Which of the cluster's limits the call counts against. `protocol` is asked only where it
    /// matters.
    #[inline]
    #[must_use]
    pub fn priority(&self, protocol: impl FnOnce() -> Protocol) -> RoutingPriority {
        match &self.route.action {
            Action::Forward(forward)
                if forward.priority == RoutingPriority::High && protocol() == Protocol::Http =>
            {
                RoutingPriority::High
            }
            Action::Forward(_)
            | Action::DirectResponse { .. }
            | Action::Redirect(_)
            | Action::NonForwarding
            | Action::Unsupported(_) => RoutingPriority::Default,
        }
    }

    /// How long the call may take, given the caller's own bound (gRFC A31); `None` is forever.
    ///
    /// What the caller has `asked` for is in the place of an HTTP route's timeout, and only ever
    /// tightens the limit of a gRPC call.
    #[must_use]
    pub fn limit(
        &self,
        protocol: Protocol,
        deadline: Option<Duration>,
        asked: &Asked,
    ) -> Option<Duration> {
        let timeouts = &self.route.timeouts;
        let [first, second] = match protocol {
            Protocol::Grpc => {
                [timeouts.grpc_limit(deadline, self.max_stream_duration), asked.limit(None)]
            }
            Protocol::Http => [asked.limit(timeouts.route), self.lifetime()],
        };
        [deadline, first, second].into_iter().flatten().min()
    }

    /// Whether a call that ends by its [`limit`](Self::limit) ends because its stream may live no
    /// longer (`max_stream_duration`), for which Envoy blames no endpoint. To gRPC that is a
    /// deadline as any other (gRFC A31).
    #[must_use]
    pub fn is_lifetime(&self, protocol: Protocol, limit: Duration) -> bool {
        protocol == Protocol::Http && self.lifetime() == Some(limit)
    }

    fn lifetime(&self) -> Option<Duration> {
        let own = self.route.timeouts.max_stream_duration.or(self.max_stream_duration);
        own.filter(|limit| !limit.is_zero())
    }
}

/// Why a call is not sent on, or what answers it instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPlan {
    /// The route answers it.
    #[error("route {:?} answers with {status}", route.name)]
    Respond {
        /// The route.
        route: Arc<Route>,
        /// The status.
        status: StatusCode,
        /// The body.
        body: Bytes,
    },
    /// The route sends the caller elsewhere.
    #[error("route {:?} redirects with {status}", route.name)]
    Redirect {
        /// The route.
        route: Arc<Route>,
        /// The status.
        status: StatusCode,
        /// The value of `location`.
        location: String,
    },
    /// No route is for it.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// The route's cluster cannot be used.
    #[error("cluster {cluster}: {why}")]
    Broken {
        /// The route.
        route: Arc<Route>,
        /// The cluster.
        cluster: Arc<str>,
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// The request names a cluster that nobody has asked for yet (`cluster_header`).
    #[error("cluster {cluster} is not known yet")]
    Unknown {
        /// The route.
        route: Arc<Route>,
        /// The cluster.
        cluster: Arc<str>,
    },
    /// The request names no cluster in this header (`cluster_header`).
    #[error("the request names no cluster in {header}")]
    Unnamed {
        /// The route.
        route: Arc<Route>,
        /// The header.
        header: HeaderName,
    },
    /// The route is for servers, or asks for what is not supported.
    #[error("route {:?} does not forward: {why}", route.name)]
    Unsupported {
        /// The route.
        route: Arc<Route>,
        /// What it asks for.
        why: Arc<str>,
    },
}

impl Snapshot {
    /// What happens to the request `head`.
    ///
    /// Takes from `rng` what the search for the route and the choice of the cluster take. Allocates
    /// nothing for calls that are sent on, but for what [`Table::find`](crate::route::Table::find)
    /// names.
    ///
    /// # Errors
    /// [`NoPlan`] for everything that is not sent on.
    pub fn plan(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<Plan, NoPlan> {
        let route = self.table.find(head, rng)?;
        let forward = match &route.action {
            Action::Forward(forward) => forward,
            Action::DirectResponse { status, body } => {
                let (route, body) = (route.clone(), body.clone());
                return Err(NoPlan::Respond { route, status: *status, body });
            }
            Action::Redirect(redirect) => {
                let matched = route.matcher.path.matched(head.path).unwrap_or_default();
                let location = redirect.location(head, matched);
                let status = redirect.code.status();
                return Err(NoPlan::Redirect { route: route.clone(), status, location });
            }
            Action::NonForwarding => {
                let why = "the route is for servers".into();
                return Err(NoPlan::Unsupported { route: route.clone(), why });
            }
            Action::Unsupported(why) => {
                return Err(NoPlan::Unsupported { route: route.clone(), why: why.clone() });
            }
        };
        let (slot, name, entry) = match forward.cluster.choose(head, rng) {
            Target::Known { cluster, overrides } => {
                let name = self.table.cluster(cluster);
                (self.clusters.get(cluster.as_usize()), name, overrides)
            }
            Target::Named(name) => match self.named.get_key_value(name) {
                Some((name, slot)) => (Some(slot), Some(name), None),
                None => {
                    let cluster = name.into();
                    return Err(NoPlan::Unknown { route: route.clone(), cluster });
                }
            },
            Target::Unnamed(header) => {
                let header = header.clone();
                return Err(NoPlan::Unnamed { route: route.clone(), header });
            }
        };
        match slot {
            Some(ClusterSlot::Ready(cluster)) => Ok(Plan {
                route: route.clone(),
                cluster: cluster.clone(),
                chain: self.chains.find(route, entry),
                max_stream_duration: self.max_stream_duration,
                stamp: self.stamp.number,
            }),
            Some(ClusterSlot::Broken(why)) => {
                let cluster = name.cloned().unwrap_or_default();
                Err(NoPlan::Broken { route: route.clone(), cluster, why: why.clone() })
            }
            None => {
                let cluster = name.cloned().unwrap_or_default();
                let why = "the cluster is not known".into();
                Err(NoPlan::Broken { route: route.clone(), cluster, why })
            }
        }
    }
}
