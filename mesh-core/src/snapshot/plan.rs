//! What happens to one request: decided once, before anything is sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::{Slot, Snapshot};
use crate::cluster::Cluster;
use crate::filter::Chain;
use crate::request::{Protocol, RequestHead};
use crate::rng::Rng;
use crate::route::{Action, NoRoute, Route, Target};

/// What a call will do. Holds all it needs, so a later configuration cannot pull it away.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The route that matched.
    pub route: Arc<Route>,
    /// The cluster that was chosen; attempts stay with it.
    pub cluster: Arc<Cluster>,
    /// The filters on the way.
    pub chain: Chain,
    /// How long the call may take by configuration; the caller's deadline may be tighter.
    pub limit: Option<Duration>,
    /// Which configuration decided this.
    pub stamp: u64,
}

/// Why a request is not sent to a cluster.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPlan {
    /// No virtual host or route matches.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// The route answers by itself. HTTP only.
    #[error("route {route:?} answers with status {status}")]
    Respond {
        /// The route's name.
        route: Arc<str>,
        /// The status of the answer.
        status: StatusCode,
        /// `location`, for redirects.
        location: Option<String>,
        /// The body of the answer.
        body: Bytes,
    },
    /// The route does something that is not for this kind of request.
    #[error("route {route:?} {why}")]
    NotServed {
        /// The route's name.
        route: Arc<str>,
        /// What it does.
        why: Arc<str>,
    },
    /// The cluster is known to be broken.
    #[error("cluster {cluster}: {why}")]
    Broken {
        /// Its name.
        cluster: Arc<str>,
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// The request names a cluster that nobody has asked for yet.
    #[error("cluster {cluster} is not known")]
    Unknown {
        /// Its name.
        cluster: Arc<str>,
    },
}

impl Snapshot {
    /// What happens to the request `head`.
    ///
    /// # Errors
    /// [`NoPlan`] when it is not sent to a cluster.
    pub fn plan(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<Plan, NoPlan> {
        let route = self.table.find(head, rng)?;
        let not_served =
            |why: &str| NoPlan::NotServed { route: route.name.clone(), why: why.into() };
        let forward = match &route.action {
            Action::Forward(forward) => forward,
            Action::NonForwarding => {
                return Err(not_served("serves requests instead of sending them"));
            }
            Action::Unsupported(why) => return Err(not_served(why)),
            Action::DirectResponse { .. } | Action::Redirect(_)
                if head.protocol == Protocol::Grpc =>
            {
                return Err(not_served("answers by itself, which gRPC calls cannot use"));
            }
            Action::DirectResponse { status, body } => {
                return Err(NoPlan::Respond {
                    route: route.name.clone(),
                    status: *status,
                    location: None,
                    body: body.clone(),
                });
            }
            Action::Redirect(redirect) => {
                let matched = route.matcher.path.matched(head.path).unwrap_or_default();
                return Err(NoPlan::Respond {
                    route: route.name.clone(),
                    status: redirect.code.status(),
                    location: Some(redirect.location(head, matched)),
                    body: Bytes::new(),
                });
            }
        };
        let (slot, name, entry) = match forward.cluster.choose(head, rng) {
            Target::Known { cluster, entry } => {
                let name = self.table.cluster(cluster);
                (self.clusters.get(cluster.as_usize()), name.map_or("", |name| name), entry)
            }
            Target::Named(name) => (self.named.get(name), name, None),
            Target::Unnamed(header) => {
                return Err(not_served(&format!(
                    "takes its cluster from header {header}, which is absent"
                )));
            }
        };
        let cluster = match slot {
            Some(Slot::Known(cluster)) => cluster.clone(),
            Some(Slot::Broken(why)) => {
                return Err(NoPlan::Broken { cluster: name.into(), why: why.clone() });
            }
            None => return Err(NoPlan::Unknown { cluster: name.into() }),
        };
        let limit = match head.protocol {
            Protocol::Grpc => route.timeouts.grpc_limit(None, self.max_stream_duration),
            Protocol::Http => {
                let stream = route.timeouts.max_stream_duration.or(self.max_stream_duration);
                let stream = stream.filter(|limit| !limit.is_zero());
                let limits = [route.timeouts.http_limit(), stream];
                limits.into_iter().flatten().min()
            }
        };
        Ok(Plan {
            route: route.clone(),
            cluster,
            chain: self.chains.find(route, entry),
            limit,
            stamp: self.stamp,
        })
    }
}
