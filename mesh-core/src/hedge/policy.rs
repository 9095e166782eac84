use std::time::Duration;

use http::Method;

use super::latencies::Latencies;
use crate::matcher::Fraction;

/// When a call is made more than once at a time (Envoy's `HedgePolicy`, and more from code).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Attempts that start at once; at least 1, which is the default (`initial_requests`).
    pub initial: u32,
    /// How often one more starts at once; default: never (`additional_request_chance`).
    pub additional: Fraction,
    /// When the next one starts; default: never.
    pub delay: Delay,
    /// Attempts in all, the first included; default 2. Not in xDS: from code. Retries that start
    /// beside an attempt are bounded by their own policy.
    pub most: u32,
    /// Which calls it is for; default: those that are safe.
    pub safety: Safety,
}

/// When another attempt starts beside those that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Delay {
    /// Never.
    #[default]
    Never,
    /// When an attempt has used up its time (`hedge_on_per_try_timeout`). It is one of the retries.
    PerTryTimeout,
    /// So long after the last one has started.
    After(Duration),
    /// When the last one has taken longer than this share of calls, in `0.0..=1.0`, usually does.
    Percentile(f64),
}

/// Which calls may be made more than once at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Safety {
    /// Those whose method is safe, and those that the caller has marked.
    #[default]
    Marked,
    /// All of them, by the word of the route.
    Any,
}

/// The caller's word that carrying out its request more than once does no harm. An extension of
/// requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Safe;

impl Default for Policy {
    fn default() -> Self {
        Self {
            initial: 1,
            additional: Fraction::per_million(0),
            delay: Delay::Never,
            most: 2,
            safety: Safety::Marked,
        }
    }
}

impl Policy {
    /// One more attempt after `delay`, for calls that are safe.
    #[must_use]
    pub fn new(delay: Delay) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Whether there is ever more than one attempt of its own at a time.
    pub(super) fn hedges(&self) -> bool {
        let is_delayed = match self.delay {
            Delay::Never | Delay::PerTryTimeout => false,
            Delay::After(_) | Delay::Percentile(_) => self.most > 1,
        };
        is_delayed || self.initial > 1 || self.additional.numerator() > 0
    }

    /// How long an attempt has before the next one starts; `None` is for ever. As long as
    /// `latencies` knows too little, a percentile is.
    #[must_use]
    pub fn wait(&self, latencies: &Latencies) -> Option<Duration> {
        match self.delay {
            Delay::Never | Delay::PerTryTimeout => None,
            Delay::After(wait) => Some(wait),
            Delay::Percentile(share) => latencies.quantile(share),
        }
    }
}

/// Whether carrying out a request with this method twice is the same as once, because it changes
/// nothing (RFC 9110 §9.2.1). gRPC's `POST` is not: mark such calls.
#[must_use]
pub fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}
