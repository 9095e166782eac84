//! Which endpoints a cluster has: the validated `ClusterLoadAssignment`.

use std::ops::Range;
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::live::{Cluster, Version};

/// The endpoints of a cluster, by priority and locality.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    /// Ordered by priority; priorities are gap-free from 0.
    pub localities: Vec<Locality>,
    /// Calls to drop, by category, tried in order. Of an aggregate, each leaf has its own.
    pub drops: Vec<DropOverload>,
    /// Of an aggregate (gRFC A37), the clusters whose endpoints these are, in order of priority;
    /// otherwise empty.
    pub leaves: Box<[Leaf]>,
}

impl Assignment {
    /// Everything in one locality of priority 0 and weight 1.
    #[must_use]
    pub fn of(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let endpoints = endpoints.into_iter().map(Arc::new).collect();
        Self {
            localities: vec![Locality { name: Arc::default(), weight: 1, priority: 0, endpoints }],
            drops: Vec::new(),
            leaves: Box::default(),
        }
    }

    /// The endpoints of `leaves` one after the other: all priorities of the first come before
    /// those of the second (gRFC A37). Leaves that are aggregates themselves are not looked into.
    #[must_use]
    pub fn concatenate(leaves: impl IntoIterator<Item = Arc<Cluster>>) -> Self {
        let (mut localities, mut parts) = (Vec::new(), Vec::new());
        let mut first = 0;
        for cluster in leaves {
            let Some(version) = cluster.version().load_full() else { continue };
            for locality in &version.assignment.localities {
                let priority = locality.priority.saturating_add(first);
                localities.push(Locality { priority, ..locality.clone() });
            }
            let count = u32::try_from(version.assignment.priorities()).unwrap_or(u32::MAX);
            let end = first.saturating_add(count);
            parts.push(Leaf { priorities: first..end, cluster, version });
            first = end;
        }
        Self { localities, drops: Vec::new(), leaves: parts.into() }
    }

    /// The leaf of an aggregate that has the endpoints of `priority`.
    #[must_use]
    pub fn leaf(&self, priority: u32) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.priorities.contains(&priority))
    }

    /// How many priorities there are.
    #[must_use]
    pub fn priorities(&self) -> usize {
        self.localities.last().map_or(0, |l| usize::try_from(l.priority).map_or(0, |p| p + 1))
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.localities.iter().map(|l| l.endpoints.len()).sum()
    }

    /// Whether there is no endpoint at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.localities.iter().all(|l| l.endpoints.is_empty())
    }
}

/// A cluster that an aggregate takes endpoints from.
///
/// Its policy, limits, drops and connection settings hold for its endpoints, and calls to them
/// count against it, not against the aggregate (gRFC A37, A75). How many of them may be sent again is
/// the aggregate's to say, as in Envoy, and how many calls wait is counted there.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its priorities among those of the aggregate. Empty if it has no endpoints.
    pub priorities: Range<u32>,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The version of it whose endpoints these are.
    pub version: Arc<Version>,
}

/// The endpoints of one place at one priority.
#[derive(Clone, Debug)]
pub struct Locality {
    /// The place.
    pub name: Arc<LocalityName>,
    /// Share of the priority's traffic among its localities; at least 1.
    pub weight: u32,
    /// 0 is tried first.
    pub priority: u32,
    /// The endpoints, in the control plane's order.
    pub endpoints: Arc<[Arc<Endpoint>]>,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LocalityName {
    /// Region, such as `europe-west1`.
    pub region: Box<str>,
    /// Zone in the region.
    pub zone: Box<str>,
    /// Part of the zone.
    pub sub_zone: Box<str>,
}

/// A share of calls that is refused before it is sent (`Policy.DropOverload`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropOverload {
    /// The name reported for it.
    pub category: Arc<str>,
    /// How many of a million calls are refused; at most 1 000 000.
    pub per_million: u32,
}
