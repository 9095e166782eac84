use std::num::NonZeroU32;
use std::time::Duration;

use crate::backoff::Backoff;

/// When a [`Breaker`](super::Breaker) refuses, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    pub(super) consecutive: Option<NonZeroU32>,
    pub(super) ratio: Option<Ratio>,
    pub(super) backoff: Backoff,
    pub(super) longest_retry_after: Duration,
}

/// A share of failures that is too high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The share, in `0.0..=1.0`: this many failures or more are too many.
    pub failures: f64,
    /// With fewer requests than this in a window the share says nothing; 500 000 at the most.
    pub requests: NonZeroU32,
    /// How long outcomes are counted before counting starts over.
    pub window: Duration,
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// No failure in a row is too few.
    #[error("consecutive: must be at least 1")]
    Consecutive,
    /// Not a share.
    #[error("ratio.failures: must be above 0 and at most 1")]
    Failures,
    /// More than are counted.
    #[error("ratio.requests: must be at most 500000")]
    Requests,
    /// Nothing can be counted in no time.
    #[error("ratio.window: must be longer than 0")]
    Window,
    /// Waits would shrink, or are not numbers.
    #[error("backoff: factor must be at least 1, jitter in 0..=1, initial above 0")]
    Backoff,
}

/// A window with more than twice as many is halved, so that all of it fits in one word.
const MOST: u32 = 500_000;

/// Refuses after five failures in a row, as [`Config::consecutive`] says.
impl Default for Config {
    fn default() -> Self {
        Self { consecutive: NonZeroU32::new(5), ..Self::never() }
    }
}

impl Config {
    /// The first wait 1 s, then 1.6 times longer each, up to 30 s, ±20 %.
    const BACKOFF: Backoff = Backoff { max: Duration::from_secs(30), ..Backoff::CONNECTION };

    /// Refuses after this many failures in a row.
    ///
    /// The first wait is 1 s, further ones 1.6 times longer each, 30 s at the most, ±20 %.
    ///
    /// # Errors
    /// If `failures` is 0.
    pub fn consecutive(failures: u32) -> Result<Self, Invalid> {
        let consecutive = NonZeroU32::new(failures).ok_or(Invalid::Consecutive)?;
        Ok(Self { consecutive: Some(consecutive), ratio: None, ..Self::never() })
    }

    /// Refuses when the share of failures is too high; waits as with [`Config::consecutive`].
    ///
    /// # Errors
    /// If `ratio` is out of range.
    pub fn ratio(ratio: Ratio) -> Result<Self, Invalid> {
        Self::never().or_ratio(ratio)
    }

    /// Also refuses when the share of failures is too high.
    ///
    /// # Errors
    /// If `ratio` is out of range.
    pub fn or_ratio(self, ratio: Ratio) -> Result<Self, Invalid> {
        if !(ratio.failures > 0.0 && ratio.failures <= 1.0) {
            return Err(Invalid::Failures);
        }
        if ratio.requests.get() > MOST {
            return Err(Invalid::Requests);
        }
        if ratio.window.is_zero() {
            return Err(Invalid::Window);
        }
        Ok(Self { ratio: Some(ratio), ..self })
    }

    /// Waits like this before probes.
    ///
    /// # Errors
    /// If waits would be none or shrink.
    pub fn backoff(self, backoff: Backoff) -> Result<Self, Invalid> {
        let jitter = (0.0..=1.0).contains(&backoff.jitter);
        // A range holds no NaN.
        let grows = (1.0..).contains(&backoff.factor);
        if backoff.initial.is_zero() || !grows || !jitter {
            return Err(Invalid::Backoff);
        }
        Ok(Self { backoff, ..self })
    }

    /// Believes a server's `Retry-After` up to this long; 5 min if nothing is said.
    #[must_use]
    pub fn longest_retry_after(self, longest: Duration) -> Self {
        Self { longest_retry_after: longest, ..self }
    }

    fn never() -> Self {
        let longest_retry_after = Duration::from_secs(300);
        Self { consecutive: None, ratio: None, backoff: Self::BACKOFF, longest_retry_after }
    }
}
