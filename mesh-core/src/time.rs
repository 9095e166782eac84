//! Points in time as numbers, which fit in atomics.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Counts time from the first point in time that it is shown.
///
/// A value that is made where nobody knows the time, such as one from configuration, has to start
/// counting at some time; earlier points in time are the first one, too.
#[derive(Debug, Default)]
pub(crate) struct Epoch(OnceLock<Instant>);

impl Epoch {
    /// Nanoseconds from the start to `now`.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(*self.0.get_or_init(|| now)))
    }

    /// Milliseconds from the start to `now`.
    pub(crate) fn millis(&self, now: Instant) -> u64 {
        self.nanos(now) / 1_000_000
    }
}

/// The nanoseconds of `duration`, up to 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, at_millis};

    #[test]
    fn time_is_counted_from_its_first_point() {
        let epoch = Epoch::default();
        assert_eq!(epoch.millis(at(3)), 0);
        assert_eq!(epoch.millis(at_millis(3_500)), 500);
        assert_eq!(epoch.nanos(at(2)), 0);
    }
}
