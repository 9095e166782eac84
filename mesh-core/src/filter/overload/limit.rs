use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::super::{Context, End, Filter, Slot, Step};
use super::refuse;
use crate::concurrency::{Algorithm, Ended, Limiter, Shares};
use crate::inherited::Caller;
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
    /// By `algorithm`. What is refused is answered with `status`.
    ///
    /// In servers, requests that matter less may use only a part of the limit, so that they find no
    /// place first: half of it if they are sheddable, three quarters if they are "sheddable plus", by
    /// the word of callers that have proved who they are ([`Caller`]). All others may use all of it,
    /// as with Envoy.
    #[must_use]
    pub fn shedding(algorithm: impl Into<Algorithm>, status: StatusCode) -> Self {
        let shares = Shares::default().with(Criticality::Critical, 100);
        Self::new(Limiter::shedding(algorithm, shares), status)
    }

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
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let criticality = match context.peer {
            Some(peer) => Caller::of(peer).criticality(head.headers),
            None => Criticality::default(),
        };
        match self.limiter.enter(criticality, context.now, context.rng) {
            Ok(start) => {
                *slot = Slot::Bits(start << 1);
                Step::Continue
            }
            Err(_) => refuse(self.status, "reached concurrency limit", "reached_concurrency_limit"),
        }
    }

    fn watches_all(&self) -> bool {
        false
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
