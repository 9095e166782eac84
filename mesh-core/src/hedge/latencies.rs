use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long calls usually take, by those of the last while.
///
/// Shared by all calls: counts of latencies in buckets that grow by an eighth at the most, in two
/// halves of a window that are emptied in turn. 2 KiB; a latency costs three atomic operations.
pub struct Latencies {
    start: Instant,
    half: Duration,
    /// The number of the half that is being filled, counted from `start`.
    filling: AtomicU64,
    halves: [Box<[AtomicU32]>; 2],
}

impl Latencies {
    /// Nothing known; remembers for `window`, or half as long.
    #[must_use]
    pub fn new(window: Duration, now: Instant) -> Self {
        let empty = || (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        let half = (window / 2).max(Duration::from_millis(1));
        Self { start: now, half, filling: AtomicU64::new(0), halves: [empty(), empty()] }
    }

    /// A call has taken so long.
    pub fn record(&self, latency: Duration, now: Instant) {
        let current = self.turn(now);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.halves.get(current).and_then(|half| half.get(bucket(micros)));
        if let Some(bucket) = bucket {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What `share` of the calls, in `0.0..=1.0`, did not take longer than, rounded up by an eighth
    /// at the most; `None` while fewer than 50 are known.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let [one, other] = &self.halves;
        let count = |(a, b): (&AtomicU32, &AtomicU32)| {
            u64::from(a.load(Ordering::Relaxed)) + u64::from(b.load(Ordering::Relaxed))
        };
        let counts = || one.iter().zip(other).map(count);
        let total: u64 = counts().sum();
        if total < ENOUGH {
            return None;
        }
        let mut seen = 0;
        let at = counts().position(|count| {
            seen += count;
            seen as f64 >= share * total as f64
        });
        Some(Duration::from_micros(bound(at.unwrap_or(BUCKETS))))
    }

    /// The half that is filled at `now`, emptied before if it is its turn.
    fn turn(&self, now: Instant) -> usize {
        let since = now.saturating_duration_since(self.start).as_nanos();
        let number = u64::try_from(since / self.half.as_nanos()).unwrap_or(u64::MAX);
        let known = self.filling.fetch_max(number, Ordering::Relaxed);
        let number = number.max(known);
        // Whoever is first empties; a latency that is recorded meanwhile may be lost.
        if number > known {
            self.empty(number);
        }
        if number > known + 1 {
            self.empty(number + 1);
        }
        usize::from(number % 2 == 1)
    }

    fn empty(&self, number: u64) {
        for bucket in self.halves.get(usize::from(number % 2 == 1)).into_iter().flatten() {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies").field("half", &self.half).finish_non_exhaustive()
    }
}

/// The bucket of a number of microseconds: eight for each power of two.
fn bucket(micros: u64) -> usize {
    let exponent = u64::from(micros.max(1).ilog2());
    let index = match exponent.checked_sub(3) {
        None => micros,
        Some(shift) => (shift + 1) * 8 + ((micros >> shift) & 7),
    };
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The number of microseconds that the latencies in a bucket are below.
fn bound(bucket: usize) -> u64 {
    let next = u64::try_from(bucket).unwrap_or(u64::MAX) + 1;
    match (next / 8).checked_sub(1) {
        None => next,
        Some(shift) => (8 + next % 8) << shift.min(40),
    }
}

/// Up to nearly five days.
const BUCKETS: usize = 288;

/// Latencies that must be known before they count for something.
const ENOUGH: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, at_millis};

    #[test]
    fn every_number_is_below_the_bound_of_its_bucket() {
        let mut last = 0;
        for micros in (0..5_000).chain((13..38).map(|power| 1 << power)) {
            let found = bucket(micros);
            assert!(found >= last, "{micros}");
            last = found;
            let bound = bound(found);
            assert!(micros < bound && bound <= micros + micros / 8 + 1, "{micros} {bound}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_last_while() {
        let latencies = Latencies::new(Duration::from_secs(20), at(0));
        let millis = |share| latencies.quantile(share).map(|found| found.as_millis());
        for millis in 1..50 {
            latencies.record(Duration::from_millis(millis), at(1));
        }
        assert_eq!(millis(0.5), None);
        for millis in 50..=100 {
            latencies.record(Duration::from_millis(millis), at(1));
        }
        // 95 to the next bound.
        assert_eq!((millis(0.95), millis(0.5), millis(0.0)), (Some(98), Some(53), Some(0)));
        // They are remembered through one more half, and then not.
        latencies.record(Duration::from_millis(1), at(19));
        assert_eq!(millis(0.95), Some(98));
        for _ in 0..100 {
            latencies.record(Duration::from_millis(1), at_millis(20_500));
        }
        assert_eq!(millis(1.0), Some(1));
        latencies.record(Duration::from_millis(1), at(90));
        assert_eq!(millis(1.0), None);
    }
}
