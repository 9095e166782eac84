//! Requests that are to fail do so here.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::{Context, End, Filter, LocalResponse, Slot, Step};
use crate::fault::{Abort, Aborted, Active, Fault};
use crate::request::RequestHead;

/// Delays requests, answers them with errors, or lets their answers come slowly, as a [`Fault`]
/// says (Envoy's and gRPC's fault filter).
#[derive(Clone, Debug)]
pub struct Inject {
    fault: Arc<Fault>,
    active: Arc<Active>,
    name: Arc<str>,
}

impl Inject {
    /// A filter that does what `fault` says, and counts those who suffer in `active`.
    #[must_use]
    pub fn new(fault: Arc<Fault>, active: Arc<Active>) -> Self {
        Self { fault, active, name: Arc::default() }
    }

    /// The same, called `name` in what it notes of requests. Default: nothing.
    #[must_use]
    pub fn named(self, name: Arc<str>) -> Self {
        Self { name, ..self }
    }

    /// Counts the request among those who suffer; `false` if there are too many of them. One that
    /// suffers twice counts once.
    fn suffers(&self, memory: &mut Memory) -> bool {
        memory.is_active = memory.is_active || self.active.enter(self.fault.max_active);
        memory.is_active
    }

    fn note(&self, context: &mut Context<'_>) {
        if let Some(notes) = &self.fault.notes {
            // Notes are for logs: what has no room is left out.
            let _ = context.metadata.add(&self.name, notes.clone());
        }
    }
}

impl Filter for Inject {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let mut memory = Memory::read(slot);
        if !memory.is_delayed {
            if !self.fault.matches(head, context.cluster) {
                return Step::Continue;
            }
            let bytes = self.fault.throttle(head, context.rng);
            memory.throughput = bytes.filter(|_| self.suffers(&mut memory));
            if let Some(delay) = self.fault.delay(head, context.rng)
                && self.suffers(&mut memory)
            {
                memory.is_delayed = true;
                memory.write(slot);
                self.note(context);
                // Deadlines end far sooner than what no clock can reach.
                return match context.now.checked_add(delay) {
                    Some(until) => Step::WaitUntil(until),
                    None => Step::WaitUntil(context.now + LONGEST),
                };
            }
        }
        let aborted = self.fault.abort(head, context.rng).filter(|_| self.suffers(&mut memory));
        memory.write(slot);
        match (aborted, &self.fault.abort) {
            (Some(aborted), Some(abort)) => {
                self.note(context);
                Step::Respond(answer(aborted, abort))
            }
            (None, _) | (_, None) => Step::Continue,
        }
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn throughput(&self, slot: &Slot) -> Option<NonZeroU64> {
        Memory::read(slot).throughput
    }

    fn on_end(&self, slot: &mut Slot, _: End, _: Instant) {
        if Memory::read(slot).is_active {
            self.active.leave();
        }
    }
}

#[cold]
fn answer(aborted: Aborted, abort: &Abort) -> LocalResponse {
    let (status, grpc) = match aborted {
        Aborted::Http(status) => (status, LocalResponse::grpc_code(status)),
        Aborted::Grpc(code) => (StatusCode::OK, code),
    };
    LocalResponse {
        status,
        grpc,
        headers: HeaderMap::new(),
        body: abort.body.clone(),
        why: "fault_filter_abort".into(),
    }
}

/// What is remembered of a request: a few bits, and bytes per second above them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    is_delayed: bool,
    is_active: bool,
    throughput: Option<NonZeroU64>,
}

impl Memory {
    const DELAYED: u64 = 1;
    const ACTIVE: u64 = 2;
    const BITS: u32 = 2;

    fn read(slot: &Slot) -> Self {
        let bits = match slot {
            Slot::Bits(bits) => *bits,
            Slot::Empty | Slot::Boxed(_) => 0,
        };
        Self {
            is_delayed: bits & Self::DELAYED != 0,
            is_active: bits & Self::ACTIVE != 0,
            throughput: NonZeroU64::new(bits >> Self::BITS),
        }
    }

    fn write(self, slot: &mut Slot) {
        let most = u64::MAX >> Self::BITS;
        let throughput = self.throughput.map_or(0, |bytes| bytes.get().min(most));
        let delayed = u64::from(self.is_delayed) * Self::DELAYED;
        let active = u64::from(self.is_active) * Self::ACTIVE;
        *slot = match throughput << Self::BITS | active | delayed {
            0 => Slot::Empty,
            bits => Slot::Bits(bits),
        };
    }
}

/// A delay that is longer than any deadline.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 60 * 60);
