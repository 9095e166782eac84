use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::config::Config;
use crate::classify::Class;
use crate::rng::Rng;
use crate::time::Epoch;

/// Refuses a part of the requests while too few of them succeed. Clones share their state.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    epoch: Epoch,
    /// Seconds.
    window: u64,
    /// Seconds that one slot is for.
    step: u64,
    /// The step that a slot is for (24 bits), its requests and those that succeeded (20 bits each).
    slots: Box<[AtomicU64]>,
}

/// That a request may not go.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// How probable that was, in `0.0..=1.0`.
    pub probability: f64,
}

/// Answers in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    good: u64,
}

impl Admission {
    /// One that has seen no answers.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let half = config.window + std::time::Duration::from_millis(500);
        let window = half.as_secs().max(1);
        let step = window.div_ceil(SLOTS);
        let slots = (0..window.div_ceil(step)).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Shared { config, epoch: Epoch::default(), window, step, slots }))
    }

    /// Whether a request may go now.
    ///
    /// # Errors
    /// If it may not.
    pub fn admit(&self, now: Instant, rng: &mut dyn Rng) -> Result<(), Refused> {
        let counts = self.counts(now);
        if counts.requests / self.0.window < u64::from(self.0.config.rps) {
            return Ok(());
        }
        let probability = self.0.config.probability(counts);
        // In steps of a ten-thousandth, as in Envoy.
        if probability * f64::from(STEPS) > f64::from(rng.below(STEPS)) {
            return Err(Refused { probability });
        }
        Ok(())
    }

    /// A request that was let through was answered.
    pub fn record(&self, class: Class, now: Instant) {
        let step = self.step(now);
        let Some(slot) = self.slot(step) else { return };
        let is_good = u64::from(class == Class::Good);
        let order = Ordering::Relaxed;
        // Never fails: there is a next value for each.
        let _ = slot.fetch_update(order, order, |old| {
            let (mut requests, mut good) = ((old >> COUNT_BITS) & COUNT, old & COUNT);
            if old >> (2 * COUNT_BITS) != step & INDEX {
                (requests, good) = (0, 0);
            } else if requests == COUNT {
                // Keeps the share.
                (requests, good) = (requests / 2, good / 2);
            }
            Some(
                (step & INDEX) << (2 * COUNT_BITS)
                    | (requests + 1) << COUNT_BITS
                    | (good + is_good),
            )
        });
    }

    /// What the probability is that a request is refused now.
    #[must_use]
    pub fn probability(&self, now: Instant) -> f64 {
        self.0.config.probability(self.counts(now))
    }

    /// Counted from 1, so that an empty slot is for none.
    fn step(&self, now: Instant) -> u64 {
        self.0.epoch.millis(now) / 1_000 / self.0.step + 1
    }

    fn slot(&self, step: u64) -> Option<&AtomicU64> {
        let slots = &self.0.slots;
        let at = step.checked_rem(u64::try_from(slots.len()).ok()?)?;
        slots.get(usize::try_from(at).ok()?)
    }

    fn counts(&self, now: Instant) -> Counts {
        let step = self.step(now);
        let length = u64::try_from(self.0.slots.len()).unwrap_or(u64::MAX);
        let mut counts = Counts::default();
        for slot in &self.0.slots {
            let slot = slot.load(Ordering::Relaxed);
            let age = step.wrapping_sub(slot >> (2 * COUNT_BITS)) & INDEX;
            if slot != 0 && age < length {
                counts.requests += (slot >> COUNT_BITS) & COUNT;
                counts.good += slot & COUNT;
            }
        }
        counts
    }
}

impl Config {
    fn probability(&self, counts: Counts) -> f64 {
        let (requests, good) = (counts.requests as f64, counts.good as f64);
        let threshold = self.threshold.clamp(0.01, 1.0);
        let excess = ((requests - good / threshold) / (requests + 1.0)).max(0.0);
        let probability = match self.aggression.max(1.0) {
            1.0 => excess,
            aggression => excess.powf(1.0 / aggression),
        };
        probability.min(self.most)
    }
}

/// Slots of a window at the most: all are read for each request.
const SLOTS: u64 = 60;

const STEPS: u32 = 10_000;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const INDEX: u64 = (1 << 24) - 1;
