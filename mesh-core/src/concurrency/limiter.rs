use std::sync::Arc;
use std::time::Instant;

use super::algorithm::{Algorithm, Sample, State};
use super::level::Level;
use super::shares::Shares;
use crate::request::Criticality;
use crate::rng::Rng;
use crate::time::Epoch;

/// Admits as many requests at once as its algorithm says. Clones share their state.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    level: Level,
    state: State,
    shares: Option<Shares>,
}

/// That a request may not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Requests under way.
    pub in_flight: u32,
    /// How many may be.
    pub limit: u32,
}

impl Limiter {
    /// A limiter without requests.
    #[must_use]
    pub fn new(algorithm: impl Into<Algorithm>) -> Self {
        Self::build(&algorithm.into(), None)
    }

    /// The same, of whose limit less critical requests may use only a part.
    #[must_use]
    pub fn shedding(algorithm: impl Into<Algorithm>, shares: Shares) -> Self {
        Self::build(&algorithm.into(), Some(shares))
    }

    fn build(algorithm: &Algorithm, shares: Option<Shares>) -> Self {
        let (state, limit) = State::new(algorithm);
        Self(Arc::new(Shared { epoch: Epoch::default(), level: Level::new(limit), state, shares }))
    }

    /// Whether a request may go now; what is returned must be told how it ended.
    ///
    /// # Errors
    /// If there are too many under way.
    pub fn admit(
        &self,
        criticality: Criticality,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Result<Permit, Refused> {
        let start = self.enter(criticality, now, rng)?;
        Ok(Permit { limiter: self.clone(), start })
    }

    /// The same without a permit: [`leave`](Self::leave) has to be called with what is returned.
    pub(crate) fn enter(
        &self,
        criticality: Criticality,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Result<u64, Refused> {
        let Shared { epoch, level, state, shares } = &*self.0;
        let start = epoch.nanos(now);
        state.tick(level, start, rng);
        let share = |limit| match shares {
            Some(shares) => shares.of(criticality, limit),
            None => limit,
        };
        match level.enter(share) {
            Ok(()) => Ok(start),
            Err(in_flight) => Err(Refused { in_flight, limit: level.limit() }),
        }
    }

    /// A request that began at `start` is over; without an `ended` nothing is known of it.
    pub(crate) fn leave(&self, start: u64, ended: Option<Ended>, now: Instant) {
        let Shared { epoch, level, state, .. } = &*self.0;
        level.leave();
        if let Some(ended) = ended {
            let is_cancelled = ended == Ended::Cancelled;
            state.record(level, Sample { start, end: epoch.nanos(now), is_cancelled });
        }
    }

    /// How many requests may be under way.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.0.level.limit()
    }

    /// How many are.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.level.in_flight()
    }
}

/// [`Algorithm::default`].
impl Default for Limiter {
    fn default() -> Self {
        Self::new(Algorithm::default())
    }
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was answered.
    Answered,
    /// Nobody has waited for its answer.
    Cancelled,
}

/// A place among the requests under way, which dropping it gives back.
///
/// If that is all, nothing is learned from the request: right for one that failed before anything
/// was done for it.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Permit {
    limiter: Limiter,
    start: u64,
}

impl Permit {
    /// The request has been answered.
    pub fn done(self, now: Instant) {
        self.end(Ended::Answered, now);
    }

    /// Nobody waits for the answer any more, which would have taken longer than this. Servers that
    /// are much too slow are known by it: nothing of theirs is ever answered.
    pub fn cancelled(self, now: Instant) {
        self.end(Ended::Cancelled, now);
    }

    fn end(self, ended: Ended, now: Instant) {
        let Shared { epoch, level, state, .. } = &*self.limiter.0;
        let is_cancelled = ended == Ended::Cancelled;
        // The place itself is given back by dropping, after this.
        state.record(level, Sample { start: self.start, end: epoch.nanos(now), is_cancelled });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.0.level.leave();
    }
}
