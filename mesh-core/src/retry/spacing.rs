use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

use crate::backoff::Backoff;
use crate::rng::Rng;

/// The time between attempts (Envoy's `retry_back_off`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing {
    /// What the waits grow from; at least 1 ms.
    pub base: Duration,
    /// The longest wait, before gRPC's jitter; not below `base`.
    pub max: Duration,
}

impl Spacing {
    /// The wait before the retry with the number `retry`, from 1, as in Envoy: anything from 0 to
    /// `(2^retry - 1) * base`, but not above `max`.
    #[must_use]
    pub fn uniform(&self, retry: u32, rng: &mut dyn Rng) -> Duration {
        let growth = 1u32.checked_shl(retry).map_or(u32::MAX, |power| power - 1);
        self.base.saturating_mul(growth).min(self.max).mul_f64(rng.unit())
    }

    /// The wait before the retry with the number `retry`, from 1, as in gRPC: doubled each time up
    /// to `max`, give or take a fifth (gRFC A6).
    #[must_use]
    pub fn doubled(&self, retry: u32, rng: &mut dyn Rng) -> Duration {
        let backoff = Backoff { initial: self.base, factor: 2.0, max: self.max, jitter: 0.2 };
        backoff.delay(retry, rng)
    }
}

/// No server is waited for longer: a day, so that half as much again is a duration.
const LONGEST: Duration = Duration::from_secs(86_400);

/// 25 ms, up to ten times that (Envoy, gRFC A44).
impl Default for Spacing {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

/// Waits that the server asks for (Envoy's `rate_limited_retry_back_off`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Where the server says it; the first that can be read counts.
    pub headers: Vec<ResetHeader>,
    /// A longer wait is as good as not said; default 300 s.
    pub max: Duration,
}

/// A header field of an answer that says when to come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    /// Its name.
    pub name: HeaderName,
    /// How it says it.
    pub format: ResetFormat,
}

/// How a [`ResetHeader`] says when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetFormat {
    /// So many seconds from now.
    Seconds,
    /// At this Unix time, in seconds.
    UnixTimestamp,
}

impl RateLimited {
    /// Envoy's default for `max_interval`.
    pub const MAX: Duration = Duration::from_secs(300);

    /// The wait that `headers` ask for at the Unix time `wall`, made longer by up to a half so
    /// that not everybody is back at once; `None`, without a number from `rng`, if they ask for
    /// none.
    #[must_use]
    pub fn wait(&self, headers: &HeaderMap, wall: u64, rng: &mut dyn Rng) -> Option<Duration> {
        let asked = self.headers.iter().find_map(|reset| {
            let value = headers.get(&reset.name)?.to_str().ok()?.trim();
            let number: u64 = value.parse().ok()?;
            let seconds = match reset.format {
                ResetFormat::Seconds => number,
                ResetFormat::UnixTimestamp => number.checked_sub(wall)?,
            };
            let wait = Duration::from_secs(seconds);
            (!wait.is_zero() && wait <= self.max).then_some(wait)
        })?;
        Some(asked.min(LONGEST).mul_f64(1.0 + rng.unit() / 2.0))
    }
}
