//! What calls choose from: rebuilt as a whole, read without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::balance::{Condition, ConnectionId, View};
use mesh_core::cluster::{Cluster, Config, Endpoint, Limits, Permit, Version};
use mesh_core::lb::{Group, Picker};
use mesh_core::request::RoutingPriority;
use mesh_core::retry::Limit;
use mesh_core::rng::Rng;

use super::{Avoid, Draw};
use crate::transport::connection::{Connection, Leaf, Stream};

/// How many further endpoints are looked at when the chosen one has no free stream. Whoever waits for one
/// and does not see it keeps those from seeing it who wait after him.
pub(super) const LOOK_AROUND: usize = 1_024;

/// The connections that can take calls, and the choice among them.
#[derive(Debug)]
pub(crate) struct Picks {
    pub(super) picker: Picker,
    /// By index of the picker's endpoints.
    pub(super) connections: Box<[Box<[Arc<Connection>]>]>,
    /// Whether the endpoints have breakers.
    has_breakers: bool,
    /// Of which priority these are.
    pub(super) priority: Option<u32>,
    /// The version of the cluster, whose endpoints these and those of the `asides` are.
    pub(super) whole: Option<Arc<Version>>,
    /// Those of other priorities, if retries wanted one lately.
    pub(super) asides: Box<[Picks]>,
    /// The version of the cluster, or of the leaf of an aggregate, whose endpoints these are.
    version: Option<Arc<Version>>,
    /// The leaf of an aggregate whose endpoints these are.
    leaf: Option<Arc<Leaf>>,
    pub(crate) condition: Condition,
    limits: [Limits; 2],
    retries: [Option<Limit>; 2],
}

/// Why there is no stream at once.
#[derive(Debug)]
pub(crate) enum Miss {
    /// No endpoint is connected.
    NotReady,
    /// Others wait already.
    Behind,
    /// All streams are taken.
    Saturated(Arc<Endpoint>),
    /// The breakers of all endpoints refuse.
    Refused,
    /// The control plane says to drop this share of calls.
    Dropped(Arc<str>),
}

impl Picks {
    /// Nothing is connected yet.
    pub(crate) fn none(limits: [Limits; 2]) -> Self {
        Self {
            picker: Picker::empty(),
            connections: Box::default(),
            has_breakers: false,
            priority: None,
            whole: None,
            asides: Box::default(),
            version: None,
            leaf: None,
            condition: Condition::Idle,
            limits,
            retries: [None; 2],
        }
    }

    pub(crate) fn new(
        version: &Arc<Version>,
        view: View,
        condition: Condition,
        open: &HashMap<ConnectionId, Arc<Connection>>,
        rng: &mut dyn Rng,
    ) -> Self {
        let (priority, whole) = (view.priority, Some(version.clone()));
        // The one limit that is an aggregate's own, as in Envoy.
        let retries = RoutingPriority::ALL.map(|priority| version.config.retries_of(priority));
        let leaf = priority.and_then(|priority| version.assignment.leaf(priority));
        let version = leaf.map_or(version, |leaf| &leaf.version);
        let limits = limits(&version.config);
        let leaf = leaf.map(|leaf| Arc::new(Leaf { cluster: leaf.cluster.clone(), limits }));
        let mut connections = Vec::new();
        let mut groups = Vec::new();
        for group in view.groups {
            let mut endpoints = Vec::with_capacity(group.endpoints.len());
            for reachable in group.endpoints {
                let ids = reachable.connections.iter();
                let list: Box<[_]> = ids.filter_map(|id| open.get(id).cloned()).collect();
                for connection in &list {
                    connection.breaker.store(version.config.breaker.clone());
                    connection.leaf.store(leaf.clone());
                }
                if !list.is_empty() {
                    connections.push(list);
                    endpoints.push(reachable.endpoint);
                }
            }
            groups.push(Group { weight: group.weight, endpoints });
        }
        Self {
            picker: Picker::new(&version.config.lb, groups, rng),
            connections: connections.into(),
            has_breakers: version.config.breaker.is_some(),
            priority,
            whole,
            asides: Box::default(),
            version: Some(version.clone()),
            leaf,
            condition,
            limits,
            retries,
        }
    }

    #[inline]
    pub(crate) fn pick(
        &self,
        draw: Draw,
        avoid: Option<Avoid<'_>>,
        rng: &mut dyn Rng,
    ) -> Result<Stream, Miss> {
        let found = match avoid {
            None => self.picker.pick(rng),
            Some(avoid) => self.elsewhere(avoid, rng),
        };
        let Some(at) = found else { return Err(Miss::NotReady) };
        let drops = self.version.iter().flat_map(|version| &version.assignment.drops);
        for drop in drops.filter(|_| draw == Draw::Due) {
            if rng.below(1_000_000) < drop.per_million {
                return Err(Miss::Dropped(drop.category.clone()));
            }
        }
        if self.has_breakers {
            return self.let_through(at, rng);
        }
        match self.reserve(at) {
            Some(stream) => Ok(stream),
            None => self.look_around(at),
        }
    }

    /// Counts a request on `stream` to `cluster`, or to its leaf whose endpoint that is. If there is
    /// no place, says how many there are.
    #[inline]
    pub(crate) fn admit(
        &self,
        cluster: &Arc<Cluster>,
        priority: RoutingPriority,
        stream: &Stream,
    ) -> Result<Permit, u32> {
        let max = self.limits(priority).max_requests;
        if self.leaf.is_none() {
            return cluster.admit(priority, max).ok_or(max);
        }
        let leaf = stream.0.leaf.load();
        let (cluster, max) = match &*leaf {
            Some(leaf) => (&leaf.cluster, of(&leaf.limits, priority).max_requests),
            None => (cluster, max),
        };
        cluster.admit(priority, max).ok_or(max)
    }

    /// How much of requests of `priority` may be under way at once.
    #[inline]
    pub(crate) fn limits(&self, priority: RoutingPriority) -> &Limits {
        of(&self.limits, priority)
    }

    /// How many retries of requests of `priority` may be under way at once.
    pub(crate) fn retries(&self, priority: RoutingPriority) -> Option<Limit> {
        *of(&self.retries, priority)
    }

    /// The index of an endpoint for a retry.
    #[cold]
    fn elsewhere(&self, avoid: Avoid<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let endpoints = self.picker.endpoints();
        let place = |tried: &Arc<Endpoint>| endpoints.iter().position(|one| one.is_same(tried));
        let tried: Vec<usize> = avoid.tried.iter().filter_map(place).collect();
        let label = |at: &usize, name: &str| endpoints.get(*at)?.metadata.as_ref()?.find(name);
        avoid.hosts.choose(&tried, || self.picker.pick(rng), label)
    }

    #[inline]
    pub(super) fn reserve(&self, at: usize) -> Option<Stream> {
        self.connections.get(at)?.iter().find_map(Connection::reserve)
    }

    /// The chosen endpoint is full: takes the next one that is not.
    #[cold]
    fn look_around(&self, at: usize) -> Result<Stream, Miss> {
        let n = self.connections.len();
        let others = (1..n.min(LOOK_AROUND)).map(|step| (at + step) % n);
        match others.into_iter().find_map(|other| self.reserve(other)) {
            Some(stream) => Ok(stream),
            None => match self.picker.endpoints().get(at) {
                Some(endpoint) => Err(Miss::Saturated(endpoint.clone())),
                None => Err(Miss::NotReady),
            },
        }
    }
}

/// The limits of each priority.
pub(super) fn limits(config: &Config) -> [Limits; 2] {
    RoutingPriority::ALL.map(|priority| *config.limits_of(priority))
}

/// What of `each` is for `priority`.
#[inline]
fn of<T>(each: &[T; 2], priority: RoutingPriority) -> &T {
    let [default, high] = each;
    match priority {
        RoutingPriority::Default => default,
        RoutingPriority::High => high,
    }
}

#[cfg(test)]
impl Picks {
    pub(super) fn connections(&self) -> impl Iterator<Item = &Arc<Connection>> {
        let all = std::iter::once(self).chain(&self.asides);
        all.flat_map(|picks| picks.connections.iter().flatten())
    }
}
