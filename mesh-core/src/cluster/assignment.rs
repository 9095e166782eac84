//! Which endpoints a cluster has: the validated `ClusterLoadAssignment`.

use std::sync::Arc;

use super::endpoint::Endpoint;

/// The endpoints of a cluster, by priority and locality.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    /// Ordered by priority; priorities are gap-free from 0.
    pub localities: Vec<Locality>,
    /// Calls to drop, by category, tried in order.
    pub drops: Arc<[DropOverload]>,
}

impl Assignment {
    /// Everything in one locality of priority 0 and weight 1.
    #[must_use]
    pub fn of(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let endpoints = endpoints.into_iter().map(Arc::new).collect();
        Self {
            localities: vec![Locality { name: Arc::default(), weight: 1, priority: 0, endpoints }],
            drops: Arc::default(),
        }
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
