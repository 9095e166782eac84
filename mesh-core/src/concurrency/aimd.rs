use std::time::Duration;

use super::algorithm::Sample;
use super::level::Level;
use super::window::{Exact, Window, floor};
use crate::time::nanos;

/// Additive increase, multiplicative decrease (Chiu and Jain 1989, TCP): the limit grows by one at a
/// time while it is used and requests are quick, and shrinks by a tenth when more than one in twenty
/// is slow.
///
/// What slow is must be said: half of what callers wait is right for most. A limit that is too high
/// is found by waiting times alone, whatever requests take when there is no queue.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Aimd {
    /// Requests that take longer are slow.
    pub slow: Duration,
    /// The limit to begin with: 20.
    pub initial: u32,
    /// The limit is never below this: 4, and 1 at least.
    pub min: u32,
    /// The limit is never above this: 1000.
    pub max: u32,
    /// What is left of the limit when requests are slow, in `0.5..1.0`: 0.9.
    pub backoff: f64,
    /// How often the limit may change: every 100 ms, or as often as a request takes if that is
    /// longer.
    pub interval: Duration,
}

impl Aimd {
    /// One for which requests are slow that take longer than `slow`.
    #[must_use]
    pub fn new(slow: Duration) -> Self {
        Self {
            slow,
            initial: 20,
            min: 4,
            max: 1_000,
            backoff: BACKOFF,
            interval: Duration::from_millis(100),
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    slow: u64,
    min: f64,
    max: f64,
    backoff: f64,
    limit: Exact,
    window: Window,
}

impl State {
    pub(super) fn new(config: Aimd) -> (Self, u32) {
        let min = config.min.max(1);
        let max = config.max.max(min);
        let initial = config.initial.clamp(min, max);
        let state = Self {
            slow: nanos(config.slow),
            min: min.into(),
            max: max.into(),
            backoff: if (0.5..1.0).contains(&config.backoff) { config.backoff } else { BACKOFF },
            limit: Exact::new(initial.into()),
            window: Window::new(config.interval, LEAST),
        };
        (state, initial)
    }

    pub(super) fn record(&self, level: &Level, sample: Sample) {
        let latency = sample.latency();
        let is_slow = latency > self.slow;
        // A request that nobody waited for says only that it was not answered by then.
        if sample.is_cancelled && !is_slow {
            return;
        }
        self.window.record(latency, is_slow);
        if self.window.is_over(sample.end) {
            level.in_turn(|| self.change(level, sample.end));
        }
    }

    fn change(&self, level: &Level, now: u64) {
        if !self.window.is_over(now) {
            // Another has been quicker.
            return;
        }
        let totals = self.window.take(now);
        let is_used = level.take_used();
        let limit = self.limit.get();
        let limit = if totals.slow.saturating_mul(TOLERATED) > totals.count {
            limit * self.backoff
        } else if is_used {
            limit + 1.0
        } else {
            limit
        };
        let limit = limit.clamp(self.min, self.max);
        self.limit.set(limit);
        level.set(floor(limit));
    }
}

/// What is left of the limit if nothing else is said, or nothing that makes sense.
const BACKOFF: f64 = 0.9;

/// Fewer requests than this say nothing.
const LEAST: u32 = 10;

/// One in so many may be slow.
const TOLERATED: u32 = 20;
