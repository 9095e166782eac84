//! Weighted round robin without state per endpoint: a static stride schedule (gRFC A58).
//!
//! The sequence number alone decides. Weights are scaled to 16 bits, so a generation of `n` steps
//! visits every endpoint once and lets each pass in proportion to its weight.

use std::sync::atomic::{AtomicU32, Ordering};

const MAX: u64 = 65_535;

/// A schedule over endpoints with different weights.
#[derive(Debug)]
pub(super) struct Stride {
    scaled: Box<[u16]>,
}

impl Stride {
    /// The schedule for `weights`; `None` when they are all equal, where plain round robin serves.
    pub(super) fn new(weights: &[u32]) -> Option<Self> {
        let max = *weights.iter().max()?;
        if weights.iter().all(|w| *w == max) {
            return None;
        }
        let scale = |w: u32| {
            let rounded = (u64::from(w) * MAX + u64::from(max) / 2) / u64::from(max).max(1);
            u16::try_from(rounded.clamp(1, MAX)).unwrap_or(u16::MAX)
        };
        Some(Self { scaled: weights.iter().map(|w| scale(*w)).collect() })
    }

    /// The next index; `sequence` is shared by all who pick.
    pub(super) fn next(&self, sequence: &AtomicU32) -> usize {
        let n = self.scaled.len() as u64;
        loop {
            let at = u64::from(sequence.fetch_add(1, Ordering::Relaxed));
            let (index, generation) = (at % n, at / n);
            let index = usize::try_from(index).unwrap_or(0);
            let weight = u64::from(self.scaled[index]);
            // The offset decorrelates neighbours of equal weight, so that they do not burst.
            let phase = (weight * generation + (index as u64) * 32_767) % MAX;
            if phase >= MAX - weight {
                return index;
            }
        }
    }
}
