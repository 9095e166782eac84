use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts of latencies by their first two decimal digits, as libcircllhist has them, by which Envoy
/// takes its percentiles. 3 KiB.
pub(super) struct Histogram {
    /// The first counts zeros, then come 90 for each power of ten.
    bins: Box<[AtomicU32]>,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { bins: (0..BINS).map(|_| AtomicU32::new(0)).collect() }
    }

    pub(super) fn record(&self, micros: u64) {
        if let Some(bin) = self.bins.get(bin(micros)) {
            bin.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.bins.iter().map(|bin| u64::from(bin.load(Ordering::Relaxed))).sum()
    }

    pub(super) fn clear(&self) {
        self.bins.iter().for_each(|bin| bin.store(0, Ordering::Relaxed));
    }

    /// The microseconds that `share` of the latencies are below, interpolated within its bin;
    /// `None` if there are no latencies.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.count() as f64;
        let mut below = 0.0;
        let mut found = None;
        for (at, bin) in self.bins.iter().enumerate() {
            let count = f64::from(bin.load(Ordering::Relaxed));
            if count == 0.0 {
                continue;
            }
            let (left, width) = bounds(at);
            let part = ((wanted - below) / count).clamp(0.0, 1.0);
            found = Some(left + part * width);
            below += count;
            if below >= wanted {
                break;
            }
        }
        found
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// Up to 1000 s.
const POWERS: usize = 9;
const BINS: usize = 1 + POWERS * 90;

fn bin(micros: u64) -> usize {
    let Some(power) = micros.checked_ilog10() else { return 0 };
    // The first two digits: 10 to 99.
    let digits = match power {
        0 => micros * 10,
        power => micros / 10u64.pow(power - 1),
    };
    let index = 1 + u64::from(power) * 90 + (digits - 10);
    usize::try_from(index).unwrap_or(usize::MAX).min(BINS - 1)
}

/// The lower bound of a bin and its width, in microseconds.
fn bounds(bin: usize) -> (f64, f64) {
    let Some(index) = bin.checked_sub(1) else { return (0.0, 0.0) };
    let power = u16::try_from(index / 90).map_or(0, i32::from);
    let digits = u16::try_from(index % 90 + 10).map_or(0.0, f64::from);
    let width = 10f64.powi(power - 1);
    (digits * width, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_its_bin() {
        for micros in (0..20_000).chain((5..9).map(|power| 10u64.pow(power) * 7 + 1)) {
            let (left, width) = bounds(bin(micros));
            let value = micros as f64;
            assert!(left <= value + 1e-6 && (width == 0.0 || value < left + width), "{micros}");
        }
        assert_eq!(bin(u64::MAX), BINS - 1);
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bin() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in [1_000, 1_010, 1_020, 1_030, 9_000] {
            histogram.record(micros);
        }
        assert_eq!(histogram.quantile(0.4), Some(1_050.0));
        assert_eq!(histogram.quantile(0.8), Some(1_100.0));
        assert_eq!(histogram.quantile(1.0), Some(9_100.0));
        assert_eq!(histogram.quantile(0.0), Some(1_000.0));
        histogram.clear();
        assert_eq!(histogram.count(), 0);
    }
}
