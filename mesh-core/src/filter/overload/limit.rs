use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::super::{Context, End, Filter, Slot, Step};
use super::refuse;
use crate::concurrency::{Ended, Limiter};
use crate::request::{Criticality, RequestHead};

/// Refuses requests while there are too many under way (Envoy's `adaptive_concurrency`).
///
/// A request is under way from when this filter sees it to the end of its response.
#[derive(Debug)]
pub struct LimitConcurrency {
    limiter: Limiter,
    status: StatusCode,
}

impl LimitConcurrency {
    /// By `limiter`, which may be others' too. What it refuses is answered with `status`.
    #[must_use]
    pub fn new(limiter: Limiter, status: StatusCode) -> Self {
        Self { limiter, status }
    }
}

impl Filter for LimitConcurrency {
    fn poll_request(
        &self,
        slot: &mut Slot,
        _: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        match self.limiter.enter(Criticality::default(), context.now, context.rng) {
            Ok(start) => {
                *slot = Slot::Bits(start << 1);
                Step::Continue
            }
            Err(_) => refuse(self.status, "reached concurrency limit", "reached_concurrency_limit"),
        }
    }

    fn on_response(&self, slot: &mut Slot, _: StatusCode, _: &mut HeaderMap) {
        if let Slot::Bits(bits) = slot {
            *bits |= HAS_HEAD;
        }
    }

    fn on_end(&self, slot: &mut Slot, end: End, now: Instant) {
        let Slot::Bits(bits) = *slot else { return };
        let ended = match end {
            End::Complete => Some(Ended::Answered),
            // The mesh itself says that there is no response, which is an answer as well.
            End::Failed if bits & HAS_HEAD == 0 => Some(Ended::Answered),
            End::Failed => None,
            End::Cancelled => Some(Ended::Cancelled),
        };
        self.limiter.leave(bits >> 1, ended, now);
    }
}

/// The head of the response has come.
const HAS_HEAD: u64 = 1;
