//! The choice among the endpoints of one group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::stride::Stride;
use crate::cluster::{Endpoint, Policy};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) enum Leaf {
    RoundRobin { sequence: AtomicU32, weighted: Option<Stride> },
    LeastRequest { choices: u32 },
    Random,
    First,
}

impl Leaf {
    pub(super) fn new(policy: Policy, endpoints: &[Arc<Endpoint>], rng: &mut dyn Rng) -> Self {
        match policy {
            Policy::RoundRobin => {
                let weights: Vec<u32> = endpoints.iter().map(|e| e.weight).collect();
                // A random start keeps many clients of the same endpoints from marching in step.
                let start = rng.below(u32::try_from(endpoints.len()).unwrap_or(u32::MAX));
                Self::RoundRobin { sequence: start.into(), weighted: Stride::new(&weights) }
            }
            Policy::LeastRequest { choices } => Self::LeastRequest { choices },
            Policy::Random => Self::Random,
            Policy::PickFirst { .. } => Self::First,
        }
    }

    /// An index into `endpoints`, which is not empty.
    #[inline]
    pub(super) fn pick(&self, endpoints: &[Arc<Endpoint>], rng: &mut dyn Rng) -> usize {
        let n = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
        match self {
            Self::RoundRobin { sequence, weighted: None } => {
                (sequence.fetch_add(1, Ordering::Relaxed) % n.max(1)) as usize
            }
            Self::RoundRobin { sequence, weighted: Some(stride) } => stride.next(sequence),
            Self::LeastRequest { choices } => least(endpoints, *choices, n, rng),
            Self::Random => rng.below(n) as usize,
            Self::First => 0,
        }
    }
}

/// Samples with replacement and keeps the least loaded (gRFC A48); load is calls under way per
/// unit of weight, counting the call to come.
fn least(endpoints: &[Arc<Endpoint>], choices: u32, n: u32, rng: &mut dyn Rng) -> usize {
    let load = |at: usize| {
        endpoints.get(at).map_or((u64::MAX, 1), |e| {
            (u64::from(e.state.active()) + 1, u64::from(e.weight.max(1)))
        })
    };
    let mut best = rng.below(n) as usize;
    let mut best_load = load(best);
    for _ in 1..choices {
        let other = rng.below(n) as usize;
        let other_load = load(other);
        // a/b < c/d without division; both products fit, being of two 32-bit numbers.
        if other_load.0.saturating_mul(best_load.1) < best_load.0.saturating_mul(other_load.1) {
            (best, best_load) = (other, other_load);
        }
    }
    best
}
