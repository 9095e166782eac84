use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::algorithm::Sample;
use super::level::Level;
use super::window::{Exact, Window, floor};
use crate::time::nanos;

/// By the length of the queue (TCP Vegas, Brakmo and Peterson 1994): of `limit` requests under way,
/// `limit * (1 - idle / latency)` are waiting, where `idle` is what requests take without a queue.
///
/// The limit grows while fewer than 3 log10(limit) wait, and shrinks while more than 6 log10(limit)
/// do. What requests take without a queue is measured: all the time while the limit is not used,
/// and otherwise, every now and then, by halving the limit for as long as fifty requests take
/// (as BBR does), so that a queue that is always there is not taken for the way things are.
///
/// Nothing has to be known about the server. Requests should be alike, and answered at once: the
/// length of a stream says nothing about a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vegas {
    /// The limit to begin with: 20.
    pub initial: u32,
    /// The limit is never below this: 4, and 1 at least.
    pub min: u32,
    /// The limit is never above this: 1000.
    pub max: u32,
    /// How often the limit may change: every 100 ms, or as often as a request takes if that is
    /// longer.
    pub interval: Duration,
    /// How often the limit is halved to measure: every 10 s.
    pub probe: Duration,
}

impl Default for Vegas {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 4,
            max: 1_000,
            interval: Duration::from_millis(100),
            probe: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    min: f64,
    max: f64,
    probe: u64,
    /// Measuring is given up after so long.
    patience: u64,
    limit: Exact,
    /// What requests take without a queue, in nanoseconds; 0 if that is not known.
    idle: Exact,
    window: Window,
    /// When measuring began; [`NEVER`] while there is none.
    probing: AtomicU64,
    next_probe: AtomicU64,
}

impl State {
    pub(super) fn new(config: Vegas) -> (Self, u32) {
        let min = config.min.max(1);
        let max = config.max.max(min);
        let initial = config.initial.clamp(min, max);
        let state = Self {
            min: min.into(),
            max: max.into(),
            probe: nanos(config.probe),
            patience: nanos(config.interval).saturating_mul(10),
            limit: Exact::new(initial.into()),
            idle: Exact::new(0.0),
            window: Window::new(config.interval, LEAST),
            probing: AtomicU64::new(NEVER),
            next_probe: AtomicU64::new(0),
        };
        (state, initial)
    }

    /// Gives measuring up where nothing is answered: requests that were under way before may take
    /// for ever, and hold all places that are left.
    pub(super) fn tick(&self, level: &Level, now: u64) {
        let since = self.probing.load(Ordering::Relaxed);
        let patience = self.patience.max(self.window.before().saturating_mul(2));
        if since != NEVER && now.saturating_sub(since) > patience {
            level.in_turn(|| self.resume(level, now));
        }
    }

    pub(super) fn record(&self, level: &Level, sample: Sample) {
        let latency = sample.latency();
        let since = self.probing.load(Ordering::Relaxed);
        if since != NEVER {
            // Those before have waited with the others.
            if sample.start < since || sample.is_cancelled {
                return;
            }
            self.window.record(latency, false);
            if self.window.count() >= ENOUGH {
                level.in_turn(|| self.resume(level, sample.end));
            }
            return;
        }
        // A request that nobody waited for says only that it was not answered by then.
        if sample.is_cancelled && latency <= self.window.before() {
            return;
        }
        self.window.record(latency, false);
        if self.window.is_over(sample.end) {
            level.in_turn(|| self.change(level, sample.end));
        }
    }

    /// Ends measuring.
    fn resume(&self, level: &Level, now: u64) {
        if self.probing.swap(NEVER, Ordering::Relaxed) == NEVER {
            // Another has been quicker.
            return;
        }
        let totals = self.window.take(now);
        if totals.count >= ENOUGH {
            self.idle.set(totals.mean as f64);
        }
        self.next_probe.store(now.saturating_add(self.probe), Ordering::Relaxed);
        level.set(floor(self.limit.get()));
    }

    fn change(&self, level: &Level, now: u64) {
        if self.probing.load(Ordering::Relaxed) != NEVER || !self.window.is_over(now) {
            // Another has been quicker.
            return;
        }
        let mean = self.window.take(now).mean as f64;
        let is_used = level.take_used();
        let idle = self.measured(mean, is_used);
        self.idle.set(idle);
        if !is_used {
            self.next_probe.store(now.saturating_add(self.probe), Ordering::Relaxed);
            return;
        }
        let limit = next(self.limit.get(), idle, mean).clamp(self.min, self.max);
        self.limit.set(limit);
        if now < self.next_probe.load(Ordering::Relaxed) {
            level.set(floor(limit));
        } else {
            self.probing.store(now, Ordering::Relaxed);
            level.set(floor((limit / 2.0).max(1.0)));
        }
    }

    /// What requests take without a queue, by a window whose mean is `mean`: slower ones count only
    /// where the limit was not used, as there was no queue then.
    fn measured(&self, mean: f64, is_used: bool) -> f64 {
        let idle = self.idle.get();
        if idle == 0.0 {
            mean
        } else if mean < idle || !is_used {
            idle + (mean - idle) * SMOOTHING
        } else {
            idle
        }
    }
}

/// The limit after `limit`.
fn next(limit: f64, idle: f64, mean: f64) -> f64 {
    let step = limit.log10().max(1.0);
    let queue = if mean > idle { limit * (1.0 - idle / mean) } else { 0.0 };
    if queue > limit / 2.0 && queue > 6.0 * step {
        limit * 0.9
    } else if queue > 6.0 * step {
        limit - step
    } else if queue <= step {
        limit + 6.0 * step
    } else if queue < 3.0 * step {
        limit + step
    } else {
        limit
    }
}

const NEVER: u64 = u64::MAX;

/// Fewer requests than this say nothing.
const LEAST: u32 = 10;

/// Requests that are measured while the limit is halved.
const ENOUGH: u32 = 50;

/// How much a window changes what is known of an idle server.
const SMOOTHING: f64 = 0.1;
