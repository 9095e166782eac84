use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::time::nanos;

/// The requests that have ended since the limit was last looked at.
#[derive(Debug)]
pub(super) struct Window {
    length: u64,
    /// The least that is enough to say something.
    least: u32,
    begin: AtomicU64,
    count: AtomicU32,
    sum: AtomicU64,
    slow: AtomicU32,
    /// The mean latency of the window before.
    before: AtomicU64,
}

/// What a window comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) count: u32,
    pub(super) slow: u32,
    /// The mean latency, in nanoseconds.
    pub(super) mean: u64,
}

impl Window {
    pub(super) fn new(length: Duration, least: u32) -> Self {
        Self {
            length: nanos(length).max(1),
            least: least.max(1),
            begin: AtomicU64::new(0),
            count: AtomicU32::new(0),
            sum: AtomicU64::new(0),
            slow: AtomicU32::new(0),
            before: AtomicU64::new(0),
        }
    }

    /// The mean latency of the window before this, in nanoseconds.
    pub(super) fn before(&self) -> u64 {
        self.before.load(Ordering::Relaxed)
    }

    /// Counts a request.
    pub(super) fn record(&self, latency: u64, is_slow: bool) {
        self.sum.fetch_add(latency, Ordering::Relaxed);
        if is_slow {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The requests in it.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether it is over. It is not before those have ended that were under way when the limit was
    /// changed last, which takes as long as requests do.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let length = self.length.max(self.before());
        self.count() >= self.least
            && now.saturating_sub(self.begin.load(Ordering::Relaxed)) >= length
    }

    /// Starts over, and tells what there was.
    pub(super) fn take(&self, now: u64) -> Totals {
        let count = self.count.swap(0, Ordering::Relaxed);
        let sum = self.sum.swap(0, Ordering::Relaxed);
        let slow = self.slow.swap(0, Ordering::Relaxed);
        let mean = sum.checked_div(u64::from(count)).unwrap_or(0);
        self.begin.store(now, Ordering::Relaxed);
        self.before.store(mean, Ordering::Relaxed);
        Totals { count, slow, mean }
    }
}

/// A number with a fraction that is only changed in turn.
#[derive(Debug)]
pub(super) struct Exact(AtomicU64);

impl Exact {
    pub(super) fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// The whole number below `value`, which is between two that fit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn floor(value: f64) -> u32 {
    value as u32
}
