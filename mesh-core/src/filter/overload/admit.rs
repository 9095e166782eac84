use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::super::{Context, End, Filter, Slot, Step};
use super::refuse;
use crate::admission::{Admission, Criteria};
use crate::classify::{Class, Outcome};
use crate::request::{Protocol, RequestHead};

/// Refuses a part of the requests while too few succeed (Envoy's `admission_control`).
///
/// An answer counts when it has ended. No answer at all is as good as 503 or UNAVAILABLE, unless it is
/// the caller who has gone away; requests that were refused here are not counted.
#[derive(Debug)]
pub struct Admit {
    admission: Admission,
    criteria: Criteria,
}

impl Admit {
    /// By `admission`, which may be others' too, and what `criteria` say of answers.
    #[must_use]
    pub fn new(admission: Admission, criteria: Criteria) -> Self {
        Self { admission, criteria }
    }
}

impl Filter for Admit {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        match self.admission.admit(context.now, context.rng) {
            Ok(()) => {
                *slot = Slot::Bits(match head.protocol {
                    Protocol::Grpc => NOTHING_GRPC,
                    Protocol::Http => NOTHING,
                });
                Step::Continue
            }
            Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "", "denied_by_admission_control"),
        }
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn on_response(&self, slot: &mut Slot, status: StatusCode, headers: &mut HeaderMap) {
        let Slot::Bits(bits) = slot else { return };
        *bits = match Outcome::answer(status, headers) {
            Outcome::Answer(answer) if answer.grpc.is_some() => {
                bits_of(self.criteria.of_code(answer.grpc))
            }
            Outcome::Answer(_)
                if status == StatusCode::OK && Protocol::of(headers) == Protocol::Grpc =>
            {
                TRAILERS
            }
            Outcome::Answer(_) | Outcome::Failed(_) => bits_of(self.criteria.of_status(status)),
        };
    }

    fn on_trailers(&self, slot: &mut Slot, trailers: &HeaderMap) {
        let Slot::Bits(TRAILERS) = slot else { return };
        let code = match Outcome::answer(StatusCode::OK, trailers) {
            Outcome::Answer(answer) => answer.grpc,
            Outcome::Failed(_) => None,
        };
        *slot = Slot::Bits(bits_of(self.criteria.of_code(code)));
    }

    fn on_end(&self, slot: &mut Slot, end: End, now: Instant) {
        let Slot::Bits(bits) = *slot else { return };
        let class = match (bits, end) {
            (GOOD, _) => Class::Good,
            (BAD, _) | (TRAILERS, End::Failed) => Class::Bad,
            // What a proxy would have answered with.
            (NOTHING, End::Failed) => self.criteria.of_status(StatusCode::SERVICE_UNAVAILABLE),
            (NOTHING_GRPC, End::Failed) => self.criteria.of_code(Some(UNAVAILABLE)),
            _ => return,
        };
        self.admission.record(class, now);
    }
}

fn bits_of(class: Class) -> u64 {
    match class {
        Class::Good => GOOD,
        Class::Bad => BAD,
    }
}

/// There is no answer yet.
const NOTHING: u64 = 0;
/// The same of a gRPC call.
const NOTHING_GRPC: u64 = 4;
/// The status of the answer is in its trailers.
const TRAILERS: u64 = 1;
const GOOD: u64 = 2;
const BAD: u64 = 3;

const UNAVAILABLE: u16 = 14;
