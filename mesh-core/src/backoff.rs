//! How long to wait before trying again.

use std::time::Duration;

use crate::rng::Rng;

/// Waits that grow with each failure in a row, spread by chance so that many clients of one failed
/// server do not come back in the same moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub initial: Duration,
    /// How much longer each further wait is; at least 1.
    pub factor: f64,
    /// The longest wait, before jitter.
    pub max: Duration,
    /// Share of the wait by which chance makes it shorter or longer, in `0.0..=1.0`.
    pub jitter: f64,
}

impl Backoff {
    /// gRPC's connection backoff: 1 s, 1.6 times longer each time, up to 120 s, ±20 %.
    pub const CONNECTION: Self = Self {
        initial: Duration::from_secs(1),
        factor: 1.6,
        max: Duration::from_secs(120),
        jitter: 0.2,
    };

    /// The wait after `failures` failures in a row; zero when there was none.
    ///
    /// Never longer than `max` plus its jitter.
    #[must_use]
    pub fn delay(&self, failures: u32, rng: &mut dyn Rng) -> Duration {
        let Some(growths) = failures.checked_sub(1) else { return Duration::ZERO };
        let growths = i32::try_from(growths).unwrap_or(i32::MAX);
        let longest = self.max.as_secs_f64();
        // An overflow of the power is infinite, which `min` turns into the longest wait.
        let seconds = (self.initial.as_secs_f64() * self.factor.powi(growths)).min(longest);
        let spread = 1.0 + self.jitter * (2.0 * rng.unit() - 1.0);
        Duration::try_from_secs_f64(seconds * spread).unwrap_or(self.max)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::CONNECTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::XorShift;
    use crate::testing::SequenceRng;

    #[test]
    fn waits_grow_up_to_the_longest() {
        let middle = || SequenceRng::new([1 << 31]);
        for (failures, millis) in
            [(0, 0), (1, 1_000), (2, 1_600), (3, 2_560), (4, 4_096), (11, 109_951), (12, 120_000)]
        {
            let delay = Backoff::CONNECTION.delay(failures, &mut middle());
            assert_eq!(delay.as_millis(), millis, "after {failures}");
        }
        for failures in [100, u32::MAX] {
            let delay = Backoff::CONNECTION.delay(failures, &mut middle());
            assert_eq!(delay, Duration::from_secs(120));
        }
    }

    #[test]
    fn chance_moves_a_wait_by_a_fifth() {
        let shortest = Backoff::CONNECTION.delay(1, &mut SequenceRng::new([0]));
        assert_eq!(shortest, Duration::from_millis(800));
        let mut rng = XorShift::new(5);
        for _ in 0..1_000 {
            let delay = Backoff::CONNECTION.delay(1, &mut rng).as_millis();
            assert!((800..=1_200).contains(&delay), "{delay}");
        }
    }
}
