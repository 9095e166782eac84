use super::level::Level;
use super::{Aimd, Gradient, Vegas, aimd, gradient, vegas};
use crate::rng::Rng;

/// How a limit is found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// It never changes.
    Fixed(Fixed),
    /// Bit by bit up, and a good deal down.
    Aimd(Aimd),
    /// By the queue that latencies speak of.
    Vegas(Vegas),
    /// As Envoy's gradient controller.
    Gradient(Gradient),
}

/// A limit that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(
    /// Requests at once.
    pub u32,
);

/// [`Vegas`]: it needs to be told nothing, and holds what a server can do where it is offered
/// several times as much.
impl Default for Algorithm {
    fn default() -> Self {
        Self::Vegas(Vegas::default())
    }
}

impl From<Fixed> for Algorithm {
    fn from(fixed: Fixed) -> Self {
        Self::Fixed(fixed)
    }
}

impl From<Aimd> for Algorithm {
    fn from(aimd: Aimd) -> Self {
        Self::Aimd(aimd)
    }
}

impl From<Vegas> for Algorithm {
    fn from(vegas: Vegas) -> Self {
        Self::Vegas(vegas)
    }
}

impl From<Gradient> for Algorithm {
    fn from(gradient: Gradient) -> Self {
        Self::Gradient(gradient)
    }
}

/// A request that has ended. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Nobody has waited for its answer: it would have taken this long or longer.
    pub(super) is_cancelled: bool,
}

impl Sample {
    pub(super) fn latency(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// An algorithm at work.
#[derive(Debug)]
pub(super) enum State {
    Fixed,
    Aimd(aimd::State),
    Vegas(vegas::State),
    Gradient(Box<gradient::State>),
}

impl State {
    /// One at the beginning, and the limit there.
    pub(super) fn new(algorithm: &Algorithm) -> (Self, u32) {
        match *algorithm {
            Algorithm::Fixed(Fixed(limit)) => (Self::Fixed, limit),
            Algorithm::Aimd(config) => {
                let (state, limit) = aimd::State::new(config);
                (Self::Aimd(state), limit)
            }
            Algorithm::Vegas(config) => {
                let (state, limit) = vegas::State::new(config);
                (Self::Vegas(state), limit)
            }
            Algorithm::Gradient(config) => {
                let (state, limit) = gradient::State::new(config);
                (Self::Gradient(Box::new(state)), limit)
            }
        }
    }

    /// A request is about to be admitted or refused.
    pub(super) fn tick(&self, level: &Level, now: u64, rng: &mut dyn Rng) {
        match self {
            Self::Fixed | Self::Aimd(_) => {}
            Self::Vegas(vegas) => vegas.tick(level, now),
            Self::Gradient(gradient) => gradient.tick(level, now, Some(rng)),
        }
    }

    /// A request has ended.
    pub(super) fn record(&self, level: &Level, sample: Sample) {
        match self {
            Self::Fixed => {}
            Self::Aimd(aimd) => aimd.record(level, sample),
            Self::Vegas(vegas) => vegas.record(level, sample),
            Self::Gradient(gradient) => gradient.record(level, sample),
        }
    }
}
