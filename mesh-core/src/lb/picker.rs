//! The choice over all ready endpoints of a priority.

use std::sync::Arc;

use super::leaf::Leaf;

use crate::cluster::{Endpoint, LoadBalancing, Policy};
use crate::rng::Rng;

/// The ready endpoints of one locality.
#[derive(Clone, Debug)]
pub struct Group {
    /// The locality's weight; at least 1.
    pub weight: u32,
    /// Its ready endpoints.
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Chooses among the ready endpoints of a priority.
#[derive(Debug)]
pub struct Picker {
    endpoints: Box<[Arc<Endpoint>]>,
    parts: Box<[Part]>,
    total: u32,
}

#[derive(Debug)]
struct Part {
    /// Cumulative weight up to and including this part.
    until: u32,
    first: usize,
    len: usize,
    leaf: Leaf,
}

impl Picker {
    /// A picker without endpoints.
    #[must_use]
    pub fn empty() -> Self {
        Self { endpoints: Box::default(), parts: Box::default(), total: 0 }
    }

    /// A picker over `groups`. Groups without endpoints get no calls.
    #[must_use]
    pub fn new(config: &LoadBalancing, groups: Vec<Group>, rng: &mut dyn Rng) -> Self {
        // pick_first is one list over all localities (gRFC A61).
        let split = config.locality_weighted && !matches!(config.policy, Policy::PickFirst { .. });
        let mut picker = Self::empty();
        let mut endpoints = Vec::new();
        let mut parts = Vec::new();
        for group in groups.into_iter().filter(|g| !g.endpoints.is_empty()) {
            let first = endpoints.len();
            endpoints.extend(group.endpoints);
            if split {
                // Weights of one priority sum to at most u32::MAX, checked at parse.
                picker.total = picker.total.saturating_add(group.weight.max(1));
                let len = endpoints.len() - first;
                let leaf = Leaf::new(config.policy, &endpoints[first..], rng);
                parts.push(Part { until: picker.total, first, len, leaf });
            }
        }
        if !split && !endpoints.is_empty() {
            picker.total = 1;
            let leaf = Leaf::new(config.policy, &endpoints, rng);
            parts.push(Part { until: 1, first: 0, len: endpoints.len(), leaf });
        }
        picker.endpoints = endpoints.into();
        picker.parts = parts.into();
        picker
    }

    /// The endpoints it chooses from; picks are indices into this.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The index of the endpoint for a call; `None` if there is none.
    #[inline]
    #[must_use]
    pub fn pick(&self, rng: &mut dyn Rng) -> Option<usize> {
        let part = match &*self.parts {
            [] => return None,
            [only] => only,
            parts => {
                let at = rng.below(self.total);
                parts.get(parts.partition_point(|p| p.until <= at))?
            }
        };
        let endpoints = self.endpoints.get(part.first..part.first + part.len)?;
        Some(part.first + part.leaf.pick(endpoints, rng))
    }
}
