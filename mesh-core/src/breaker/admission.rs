use std::time::{Duration, Instant};

use super::state::Breaker;
use super::word::Word;
use crate::classify::Class;
use crate::rng::Rng;

/// Whether a request may go.
#[derive(Debug)]
#[must_use = "a request that passes has to be told about"]
pub enum Admission {
    /// It may.
    Pass(Pass),
    /// It may, alone: others are refused until it is known what came of it.
    Probe(Pass),
    /// It may not.
    Refuse {
        /// How long until a request may be a probe; zero while one is under way.
        wait: Duration,
    },
}

impl Admission {
    /// Whether the request may not go.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refuse { .. })
    }

    /// What the outcome is told to, if the request may go.
    #[must_use]
    pub fn pass(self) -> Option<Pass> {
        match self {
            Self::Pass(pass) | Self::Probe(pass) => Some(pass),
            Self::Refuse { .. } => None,
        }
    }
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Requests are refused from now on, for this long.
    Opened(Duration),
    /// Requests pass again.
    Closed,
}

/// A request under way.
///
/// Dropping it says that nobody knows what came of the request: nothing is counted, and if it was
/// the probe then the next request is.
#[derive(Debug)]
#[must_use = "dropping it forgets the request"]
pub struct Pass {
    breaker: Breaker,
    word: Word,
}

impl Pass {
    pub(super) fn new(breaker: Breaker, word: Word) -> Self {
        Self { breaker, word }
    }

    /// Says what came of the request, and how long the server wants to be left alone
    /// (`Retry-After`), which counts if requests are refused because of this outcome.
    ///
    /// Outcomes of requests that were let through before the last change are not counted.
    pub fn done(
        self,
        class: Class,
        retry_after: Option<Duration>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Change {
        // What `drop` does afterwards finds another word if it was the probe.
        self.breaker.done(self.word, (class, retry_after), now, rng)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.breaker.forget(self.word);
    }
}
