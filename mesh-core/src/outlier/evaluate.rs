//! Which of many endpoints are outliers. Pure arithmetic; percentages throughout.

use super::config::{Percent, SuccessRate};
use super::counter::Tally;

impl Tally {
    /// The share of successes, if there was anything.
    pub(super) fn success_rate(self) -> Option<f64> {
        let succeeded = self.total.saturating_sub(self.failed);
        (self.total > 0).then(|| f64::from(succeeded) * 100.0 / f64::from(self.total))
    }

    fn failure_percentage(self) -> f64 {
        self.success_rate().map_or(0.0, |rate| 100.0 - rate)
    }

    /// Whether the share of failures is at `threshold` or above.
    pub(super) fn fails_at(self, threshold: Percent) -> bool {
        self.failure_percentage() >= f64::from(threshold.value())
    }

    /// Whether the share of failures is above `threshold`.
    pub(super) fn fails_above(self, threshold: Percent) -> bool {
        self.failure_percentage() > f64::from(threshold.value())
    }
}

/// Endpoints with a lower success rate than this are outliers; `None` if too few have had enough
/// requests. `tallies` are of the endpoints that take part.
pub(super) fn least_success_rate(
    tallies: impl Iterator<Item = Tally>,
    config: &SuccessRate,
) -> Option<f64> {
    let rates: Vec<f64> = tallies
        .filter(|tally| tally.total >= config.request_volume)
        .filter_map(Tally::success_rate)
        .collect();
    let count = u32::try_from(rates.len()).ok()?;
    if count == 0 || count < config.minimum_hosts {
        return None;
    }
    let mean = rates.iter().sum::<f64>() / f64::from(count);
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / f64::from(count);
    Some(mean - variance.sqrt() * f64::from(config.stdev_factor) / 1000.0)
}

/// Whether enough of `tallies` are of `volume` requests or more.
pub(super) fn are_enough(
    tallies: impl Iterator<Item = Tally>,
    volume: u32,
    minimum_hosts: u32,
) -> bool {
    let count = tallies.filter(|tally| tally.total > 0 && tally.total >= volume).count();
    count > 0 && u32::try_from(count).is_ok_and(|count| count >= minimum_hosts)
}
