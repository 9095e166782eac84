#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::algorithm::Sample;
use super::histogram::Histogram;
use super::level::Level;
use super::window::floor;
use crate::rng::Rng;
use crate::time::nanos;

/// The gradient controller of Envoy (`GradientControllerConfig`).
///
/// Every so often, `limit = limit * g + sqrt(limit * g)`, where `g`, in `0.5..=2.0`, is the latency
/// of an idle server (and a bit more) by the latency that is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gradient {
    /// The percentile that stands for the latencies of an interval, in `0.0..=1.0`
    /// (`sample_aggregate_percentile`): 0.5.
    pub percentile: f64,
    /// The limit is never above this (`max_concurrency_limit`): 1000.
    pub max: u32,
    /// A limit that is found is never below this (`min_concurrency_limit`): `None` is the same as
    /// `initial`.
    pub min: Option<u32>,
    /// The limit to begin with, and while an idle server is measured (`min_concurrency`): 3.
    pub initial: u32,
    /// How often the limit changes (`concurrency_update_interval`).
    pub interval: Duration,
    /// The latency of an idle server.
    pub min_rtt: MinRtt,
    /// So much is added to the latency of an idle server, as a part of it in `0.0..=1.0`
    /// (`buffer`): 0.25.
    pub buffer: f64,
}

/// How the latency of an idle server is known (`min_rtt_calc_params`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MinRtt {
    /// It is measured.
    Measured(Measured),
    /// It was said (`fixed_value`).
    Fixed(Duration),
}

/// How the latency of an idle server is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// How often (`interval`), from the end of one measurement to the beginning of the next.
    pub interval: Duration,
    /// Up to this part of the interval is added to it, in `0.0..=1.0` (`jitter`): 0.15.
    pub jitter: f64,
    /// How many requests are measured (`request_count`): 50.
    pub requests: u32,
}

impl Gradient {
    /// One that changes its limit every `interval`, and otherwise as Envoy does by default.
    #[must_use]
    pub fn new(interval: Duration, min_rtt: MinRtt) -> Self {
        let (percentile, max, min, initial, buffer) = (0.5, 1_000, None, 3, 0.25);
        Self { percentile, max, min, initial, interval, min_rtt, buffer }
    }
}

impl Measured {
    /// A measurement every `interval`, and otherwise as Envoy does by default.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval, jitter: 0.15, requests: 50 }
    }
}

#[derive(Debug)]
pub(super) struct State {
    config: Gradient,
    min: u32,
    latencies: Histogram,
    /// Microseconds.
    min_rtt: AtomicU64,
    /// The limit before the measurement under way; 0 without one.
    deferred: AtomicU32,
    /// Requests that began before this do not count, in nanoseconds.
    since: AtomicU64,
    /// When the limit changes, in nanoseconds.
    next_change: AtomicU64,
    /// When the next measurement begins, in nanoseconds; [`NEVER`] if none will or one is under way.
    next_measurement: AtomicU64,
    /// What is added to the interval of measurements, in nanoseconds, drawn in advance.
    jitter: AtomicU64,
    /// How often in a row the limit was found to be as low as it can be.
    lowest: AtomicU32,
}

impl State {
    pub(super) fn new(config: Gradient) -> (Self, u32) {
        let initial = config.initial.max(1);
        let min = config.min.unwrap_or(initial).max(1);
        let (min_rtt, next_measurement) = match config.min_rtt {
            MinRtt::Measured(_) => (0, 0),
            MinRtt::Fixed(fixed) => (nanos(fixed) / 1_000, NEVER),
        };
        let state = Self {
            config: Gradient { max: config.max.max(min), initial, ..config },
            min,
            latencies: Histogram::new(),
            min_rtt: AtomicU64::new(min_rtt),
            deferred: AtomicU32::new(0),
            since: AtomicU64::new(0),
            next_change: AtomicU64::new(nanos(config.interval)),
            next_measurement: AtomicU64::new(next_measurement),
            jitter: AtomicU64::new(0),
            lowest: AtomicU32::new(0),
        };
        (state, initial)
    }

    /// Does what was due by `now`.
    pub(super) fn tick(&self, level: &Level, now: u64, rng: Option<&mut dyn Rng>) {
        let change = self.next_change.load(Ordering::Relaxed);
        let measurement = self.next_measurement.load(Ordering::Relaxed);
        if now >= change.min(measurement) {
            level.in_turn(|| self.catch_up(level, now, rng));
        }
    }

    /// What was due, in turn, at the time when it was.
    fn catch_up(&self, level: &Level, now: u64, rng: Option<&mut dyn Rng>) {
        let change = self.next_change.load(Ordering::Relaxed);
        let measurement = self.next_measurement.load(Ordering::Relaxed);
        if change <= now && change < measurement {
            self.change(level, now);
        }
        // The change may have asked for it.
        let measurement = self.next_measurement.load(Ordering::Relaxed);
        if measurement <= now {
            self.draw(rng);
            self.measure(level, measurement);
        }
        let change = self.next_change.load(Ordering::Relaxed);
        if change <= now {
            self.change(level, now);
        }
    }

    pub(super) fn record(&self, level: &Level, sample: Sample) {
        self.tick(level, sample.end, None);
        if sample.is_cancelled || sample.start < self.since.load(Ordering::Relaxed) {
            return;
        }
        self.latencies.record(sample.latency() / 1_000);
        let MinRtt::Measured(measured) = &self.config.min_rtt else { return };
        if self.is_measuring() && self.latencies.count() >= measured.requests.into() {
            level.in_turn(|| self.measured(level, measured, sample.end));
        }
    }

    fn is_measuring(&self) -> bool {
        self.deferred.load(Ordering::Relaxed) > 0
    }

    /// A new limit from the latencies of the interval that has ended.
    fn change(&self, level: &Level, now: u64) {
        if self.is_measuring() {
            // The end of the measurement starts the interval again.
            self.next_change.store(NEVER, Ordering::Relaxed);
            return;
        }
        // Intervals without requests change nothing.
        let interval = nanos(self.config.interval).max(1);
        let due = self.next_change.load(Ordering::Relaxed);
        let missed = now.saturating_sub(due) / interval;
        let next = due.saturating_add(missed.saturating_add(1).saturating_mul(interval));
        self.next_change.store(next, Ordering::Relaxed);
        if let Some(rtt) = self.latency() {
            self.set(level, self.next(level.limit(), rtt), due);
        }
    }

    /// The latency, in whole microseconds, that stands for all of the interval.
    fn latency(&self) -> Option<u64> {
        let found = self.latencies.quantile(self.config.percentile.clamp(0.0, 1.0))?;
        self.latencies.clear();
        Some(floor(found).into())
    }

    /// The limit after `limit`, where requests have taken `rtt` microseconds.
    fn next(&self, limit: u32, rtt: u64) -> u32 {
        let idle = self.min_rtt.load(Ordering::Relaxed) as f64;
        let buffered = idle + idle * self.config.buffer.clamp(0.0, 1.0);
        let gradient = (buffered / rtt as f64).clamp(0.5, 2.0);
        let limit = f64::from(limit) * gradient;
        floor(limit + limit.sqrt()).min(self.config.max).max(self.min)
    }

    /// Makes `limit` the limit, as was due at `due`.
    fn set(&self, level: &Level, limit: u32, due: u64) {
        let is_lowest = level.limit() == self.min && limit == self.min && !self.is_measuring();
        level.set(limit);
        if !is_lowest {
            self.lowest.store(0, Ordering::Relaxed);
            return;
        }
        let times = self.lowest.load(Ordering::Relaxed).saturating_add(1);
        self.lowest.store(times, Ordering::Relaxed);
        // Perhaps the server was not idle when it was measured.
        if times >= LOWEST && matches!(self.config.min_rtt, MinRtt::Measured(_)) {
            self.next_measurement.store(due, Ordering::Relaxed);
        }
    }

    /// Begins a measurement at `at`.
    fn measure(&self, level: &Level, at: u64) {
        self.next_measurement.store(NEVER, Ordering::Relaxed);
        self.deferred.store(level.limit().max(1), Ordering::Relaxed);
        self.lowest.store(0, Ordering::Relaxed);
        level.set(self.config.initial);
        self.latencies.clear();
        self.since.store(at, Ordering::Relaxed);
    }

    /// Ends a measurement.
    fn measured(&self, level: &Level, measured: &Measured, now: u64) {
        let deferred = self.deferred.swap(0, Ordering::Relaxed);
        if deferred == 0 {
            // Another has been quicker.
            return;
        }
        if let Some(rtt) = self.latency() {
            self.min_rtt.store(rtt, Ordering::Relaxed);
        }
        level.set(deferred);
        let wait = nanos(measured.interval).saturating_add(self.jitter.load(Ordering::Relaxed));
        self.next_measurement.store(now.saturating_add(wait), Ordering::Relaxed);
        let interval = nanos(self.config.interval).max(1);
        self.next_change.store(now.saturating_add(interval), Ordering::Relaxed);
    }

    /// Draws how much later than due the measurement after this one begins: in whole milliseconds,
    /// as in Envoy. Where nobody brought randomness, what was drawn before counts.
    fn draw(&self, rng: Option<&mut dyn Rng>) {
        let MinRtt::Measured(measured) = &self.config.min_rtt else { return };
        let millis = measured.interval.as_millis() as f64 * measured.jitter.clamp(0.0, 1.0);
        if let Some(rng) = rng {
            let millis = u64::from(rng.below(floor(millis.ceil())));
            self.jitter.store(millis * 1_000_000, Ordering::Relaxed);
        }
    }
}

const NEVER: u64 = u64::MAX;

/// So many times in a row at the lowest limit are suspicious.
const LOWEST: u32 = 5;
