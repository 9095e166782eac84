use std::fmt;

use crate::rng::Rng;

/// A share of requests in millionths (Envoy's `FractionalPercent`, scaled as gRFC A28 says).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

impl Fraction {
    /// Every request.
    pub const ALL: Self = Self(MILLION);

    /// `numerator` requests of a million; more than a million is all of them.
    #[must_use]
    pub fn per_million(numerator: u32) -> Self {
        Self(numerator.min(MILLION))
    }

    /// How many of a million requests.
    #[must_use]
    pub fn numerator(self) -> u32 {
        self.0
    }

    /// The share of `count`, rounded down.
    pub(crate) fn of(self, count: u32) -> u32 {
        let share = u64::from(count) * u64::from(self.0) / u64::from(MILLION);
        u32::try_from(share).unwrap_or(count)
    }

    /// Decides for one request. Takes exactly one number from `rng`, also where the answer is known.
    ///
    /// The number is compared with `<`, so that a fraction of nothing never matches.
    #[must_use]
    pub fn decide(self, rng: &mut dyn Rng) -> bool {
        rng.below(MILLION) < self.0
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in a million", self.0)
    }
}

const MILLION: u32 = 1_000_000;
