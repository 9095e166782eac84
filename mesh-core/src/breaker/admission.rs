use std::time::{Duration, Instant};

use super::handle::Breaker;
use super::word::{Phase, Word};
use crate::classify::Class;
use crate::rng::Rng;

/// Whether a request may go, with what its outcome is told to.
#[derive(Debug)]
#[must_use = "a request that passes has to be told about"]
pub enum Admission<P = Pass> {
    /// It may.
    Pass(P),
    /// It may, alone: others are refused until it is known what came of it.
    Probe(P),
    /// It may not.
    Refuse {
        /// How long until a request may be a probe; zero while one is under way.
        wait: Duration,
    },
}

impl<P> Admission<P> {
    /// Whether the request may not go.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refuse { .. })
    }

    /// What the outcome is told to, if the request may go.
    #[must_use]
    pub fn pass(self) -> Option<P> {
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
    ticket: Ticket,
}

impl Pass {
    pub(super) fn new(breaker: Breaker, ticket: Ticket) -> Self {
        Self { breaker, ticket }
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
        self.breaker.done(self.ticket, (class, retry_after), now, rng)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.breaker.forget(self.ticket);
    }
}

/// A request under way, for a [`State`](super::State): when it was let through, and as what.
///
/// The default is that of a request that passed before the state first changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(pub(super) Word);

impl Ticket {
    /// Whether others are refused until it is known what came of the request.
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.0.phase() == Phase::Probing
    }
}
