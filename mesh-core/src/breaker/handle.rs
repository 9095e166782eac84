use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::{Admission, Change, Pass, Ticket};
use super::config::Config;
use super::state::State;
use crate::classify::Class;
use crate::rng::Rng;

/// Refuses requests to a server that fails. Clones share their state.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    state: State,
}

impl Breaker {
    /// A breaker that lets requests pass.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Shared { config, state: State::default() }))
    }

    /// Whether a request may go now.
    pub fn admit(&self, now: Instant) -> Admission {
        match self.0.state.admit(now) {
            Admission::Pass(ticket) => Admission::Pass(Pass::new(self.clone(), ticket)),
            Admission::Probe(ticket) => Admission::Probe(Pass::new(self.clone(), ticket)),
            Admission::Refuse { wait } => Admission::Refuse { wait },
        }
    }

    /// Counts an outcome of the request with `ticket`.
    pub(super) fn done(
        &self,
        ticket: Ticket,
        outcome: (Class, Option<Duration>),
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Change {
        self.0.state.done(ticket, &self.0.config, outcome, now, rng)
    }

    /// Takes the role of the probe back from a request of which nothing is known.
    pub(super) fn forget(&self, ticket: Ticket) {
        self.0.state.forget(ticket);
    }
}
