//! How long calls took.

use std::time::Duration;

/// Times, of which all are kept.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The times that these shares of them, in millionths, do not exceed, in milliseconds; 0 if
    /// there are none.
    pub(super) fn quantiles<const N: usize>(&mut self, shares: [usize; N]) -> [f64; N] {
        self.0.sort_unstable();
        shares.map(|share| {
            let rank = (self.0.len() * share).div_ceil(1_000_000).max(1);
            self.0.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_time_that_its_share_does_not_exceed() {
        let mut times = Times::default();
        assert_eq!(times.quantiles([500_000]), [0.0]);
        for millis in (1..=1_000).rev() {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.quantiles([0, 500_000, 999_000, 1_000_000]), [1.0, 500.0, 999.0, 1000.0]);
    }
}
