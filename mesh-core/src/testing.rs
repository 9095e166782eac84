//! What tests of decisions need: times without a clock, randomness that is written down.
//!
//! ```
//! use mesh_core::testing::at;
//!
//! assert_eq!(at(3) - at(1), std::time::Duration::from_secs(2));
//! ```

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::rng::Rng;

/// The time `seconds` after an arbitrary fixed start.
#[must_use]
pub fn at(seconds: u64) -> Instant {
    at_millis(seconds * 1_000)
}

/// The time `millis` milliseconds after the start that [`at`] counts from.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no constructor; only the start is real"
)]
pub fn at_millis(millis: u64) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_millis(millis)
}

/// Randomness that is written down: gives the numbers in turn, over and over.
///
/// Numbers are what [`Rng::below`] returns, taken modulo its bound.
#[derive(Debug)]
pub struct SequenceRng {
    numbers: Vec<u32>,
    at: usize,
}

impl SequenceRng {
    /// Gives `numbers` in turn; zeros if there are none.
    #[must_use]
    pub fn new(numbers: impl Into<Vec<u32>>) -> Self {
        Self { numbers: numbers.into(), at: 0 }
    }

    fn number(&mut self) -> u32 {
        let number = self.numbers.get(self.at % self.numbers.len().max(1)).copied();
        self.at += 1;
        number.unwrap_or(0)
    }
}

impl Rng for SequenceRng {
    fn next_u64(&mut self) -> u64 {
        u64::from(self.number()) << 32
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.number().checked_rem(bound).unwrap_or(0)
    }
}
