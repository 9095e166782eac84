use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a [`TokenBucket`] fills (Envoy's `TokenBucket`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The most tokens it holds, and those it has to begin with. 0: it is always empty.
    pub max_tokens: u32,
    /// Tokens that each interval adds; at least 1.
    pub tokens_per_fill: u32,
    /// The interval; above 0.
    pub interval: Duration,
}

impl Fill {
    /// Tokens per second. As in Envoy at least one a year.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.interval.as_secs_f64().max(f64::MIN_POSITIVE);
        (f64::from(self.tokens_per_fill) / seconds).clamp(SLOWEST, f64::MAX)
    }

    /// The time that one token takes.
    #[must_use]
    pub fn token_interval(&self) -> Duration {
        seconds(self.rate().recip())
    }
}

/// Tokens that requests take and time brings back: how Envoy limits rates.
///
/// Tokens come evenly and in fractions: half of `fill_interval` brings half of `tokens_per_fill`.
/// All there is to remember is the moment at which the bucket would have been empty, which is one
/// atomic number: shared by all calls, without a lock.
///
/// Over any time `t` it gives at most `max_tokens` and what `t` brings.
pub struct TokenBucket {
    fill: Fill,
    rate: f64,
    /// When it was first looked at; full until then.
    origin: OnceLock<Instant>,
    /// Seconds from `origin` to when it would have been empty (the bits of an `f64`).
    empty_at: AtomicU64,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(fill: Fill) -> Self {
        let rate = fill.rate();
        let empty_at = AtomicU64::new((-f64::from(fill.max_tokens) / rate).to_bits());
        Self { fill, rate, origin: OnceLock::new(), empty_at }
    }

    /// How it fills.
    #[must_use]
    pub fn fill(&self) -> &Fill {
        &self.fill
    }

    /// Takes `tokens`, all of them or none.
    ///
    /// # Errors
    /// [`Shortage`] when there are fewer; nothing has changed then.
    pub fn take(&self, tokens: u32, now: Instant) -> Result<(), Shortage> {
        let wanted = f64::from(tokens);
        let mut missing = 0.0;
        self.change(now, |available| {
            missing = wanted - available;
            // Rounding must refuse nobody. Nothing is given away: the whole number is taken off.
            (missing <= MILLIONTH).then_some(available - wanted)
        })
        .map_err(|()| match tokens <= self.fill.max_tokens {
            true => Shortage { wait: seconds(missing / self.rate) },
            false => Shortage { wait: Duration::MAX },
        })
    }

    /// Gives `tokens` back; beyond `max_tokens` they are lost.
    pub fn give_back(&self, tokens: u32, now: Instant) {
        let most = f64::from(self.fill.max_tokens);
        let _ = self.change(now, |available| Some((available + f64::from(tokens)).min(most)));
    }

    /// Whole tokens that are there.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> u32 {
        let at = self.elapsed(now);
        let available = self.available(at, self.empty_at.load(Ordering::Relaxed)) + MILLIONTH;
        // Seconds of a duration are the one conversion to integers that neither wraps nor panics.
        u32::try_from(seconds(available.max(0.0)).as_secs()).unwrap_or(u32::MAX)
    }

    /// Seconds since it was first looked at.
    fn elapsed(&self, now: Instant) -> f64 {
        let origin = *self.origin.get_or_init(|| now);
        now.saturating_duration_since(origin).as_secs_f64()
    }

    fn available(&self, at: f64, empty_at: u64) -> f64 {
        let most = f64::from(self.fill.max_tokens);
        ((at - f64::from_bits(empty_at)) * self.rate).min(most)
    }

    /// Replaces the tokens that are there by what `next` makes of them, unless that is nothing.
    fn change(&self, now: Instant, mut next: impl FnMut(f64) -> Option<f64>) -> Result<(), ()> {
        let at = self.elapsed(now);
        // Only the number itself counts, not what else was written before it.
        let update = |empty_at| {
            let left = next(self.available(at, empty_at))?;
            Some((at - left / self.rate).to_bits())
        };
        let relaxed = Ordering::Relaxed;
        self.empty_at.fetch_update(relaxed, relaxed, update).map(drop).map_err(drop)
    }
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket").field("fill", &self.fill).finish_non_exhaustive()
    }
}

/// There are not enough tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too few tokens, enough of them in {wait:?}")]
pub struct Shortage {
    /// How long until there are, if nobody else takes any; [`Duration::MAX`] is never.
    pub wait: Duration,
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// One token a year.
const SLOWEST: f64 = 1.0 / (365.0 * 24.0 * 60.0 * 60.0);

/// Of a token: what rounding may cost.
const MILLIONTH: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn bucket(max_tokens: u32, tokens_per_fill: u32, millis: u64) -> TokenBucket {
        let interval = Duration::from_millis(millis);
        TokenBucket::new(Fill { max_tokens, tokens_per_fill, interval })
    }

    #[test]
    fn a_full_bucket_gives_all_it_holds_at_once() {
        let bucket = bucket(10, 3, 100);
        assert_eq!(bucket.remaining(at(5)), 10);
        assert!((0..10).all(|_| bucket.take(1, at(5)).is_ok()));
        let wait = bucket.take(1, at(5)).unwrap_err().wait;
        assert!(wait.abs_diff(Duration::from_micros(33_333)) < Duration::from_micros(1));
        assert_eq!(bucket.remaining(at(5)), 0);
        assert_eq!(bucket.remaining(at(6)), 10);
    }

    #[test]
    fn tokens_come_in_fractions_of_the_interval() {
        let bucket = bucket(4, 4, 1_000);
        assert!(bucket.take(4, at(0)).is_ok());
        let after = |millis| at(0) + Duration::from_millis(millis);
        assert!(bucket.take(1, after(249)).is_err());
        assert!(bucket.take(1, after(250)).is_ok());
        assert!(bucket.take(2, after(500)).is_err(), "all or none");
        assert_eq!(bucket.remaining(after(500)), 1);
    }

    #[test]
    fn an_always_empty_bucket_names_no_wait() {
        let bucket = bucket(0, 1, 1_000);
        assert_eq!(bucket.take(1, at(9)), Err(Shortage { wait: Duration::MAX }));
        assert!(bucket.take(0, at(9)).is_ok());
    }

    #[test]
    fn tokens_that_come_back_do_not_overflow_it() {
        let bucket = bucket(3, 1, 1_000);
        assert!(bucket.take(2, at(0)).is_ok());
        bucket.give_back(1, at(0));
        assert_eq!(bucket.remaining(at(0)), 2);
        bucket.give_back(7, at(0));
        assert_eq!(bucket.remaining(at(0)), 3);
    }

    #[test]
    fn the_slowest_bucket_fills_once_a_year() {
        let fill = |seconds| Fill {
            max_tokens: 1,
            tokens_per_fill: 1,
            interval: Duration::from_secs(seconds),
        };
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        assert_eq!(fill(u64::MAX).token_interval(), year);
        assert_eq!(fill(3).token_interval(), Duration::from_secs(3));
    }
}
