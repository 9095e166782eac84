//! How long to wait before the next attempt to get a stream.

use std::time::Duration;

use mesh_core::rng::Rng;

use super::Timeouts;

const FACTOR: f64 = 1.6;
const JITTER: f64 = 0.2;

/// Exponential backoff (A27).
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let first = timeouts.backoff.min(timeouts.backoff_max);
        Self { first, max: timeouts.backoff_max, next: first }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The wait after one more failure.
    pub(super) fn delay(&mut self, rng: &mut dyn Rng) -> Duration {
        let wait = self.next;
        self.next = scaled(wait, FACTOR, self.max).min(self.max);
        scaled(wait, 1.0 + JITTER * (2.0 * rng.unit() - 1.0), self.max)
    }
}

/// `duration` times `factor`; `overflow` if that is not a duration.
fn scaled(duration: Duration, factor: f64, overflow: Duration) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Rng for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    fn millis(backoff: &mut Backoff, rng: u64, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.delay(&mut Fixed(rng)).as_millis()).collect()
    }

    #[test]
    fn waits_grow_to_the_maximum_and_start_over() {
        let mut backoff = Backoff::new(&Timeouts::default());
        let middle = 1 << 63;
        assert_eq!(
            millis(&mut backoff, middle, 13),
            [
                1_000, 1_600, 2_560, 4_096, 6_553, 10_485, 16_777, 26_843, 42_949, 68_719, 109_951,
                120_000, 120_000
            ]
        );
        backoff.reset();
        assert_eq!(millis(&mut backoff, middle, 1), [1_000]);
    }

    #[test]
    fn waits_vary_by_a_fifth() {
        let mut backoff = Backoff::new(&Timeouts::default());
        assert_eq!(millis(&mut backoff, 0, 2), [800, 1_280]);
        backoff.reset();
        assert_eq!(millis(&mut backoff, u64::MAX, 2), [1_200, 1_920]);
    }

    #[test]
    fn endless_timeouts_do_not_overflow() {
        let endless =
            Timeouts { backoff: Duration::MAX, backoff_max: Duration::MAX, ..Timeouts::default() };
        assert_eq!(Backoff::new(&endless).delay(&mut Fixed(u64::MAX)), Duration::MAX);
    }
}
