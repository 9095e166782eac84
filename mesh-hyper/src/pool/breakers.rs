//! Picks among endpoints that have breakers.

use std::time::Instant;

use mesh_core::rng::Rng;

use super::Miss;
use super::picks::{LOOK_AROUND, Picks};
use crate::runtime;
use crate::transport::connection::Stream;

/// How many further endpoints are drawn before the neighbours are looked at. The next one alone would
/// get all the calls of one that refuses.
const DRAWS: usize = 3;

/// What becomes of a call at an endpoint.
enum Found {
    Stream(Stream),
    /// Its streams are taken.
    Full,
    /// Its breaker refuses.
    Refused,
}

impl Picks {
    /// A stream at the endpoint `at`, or at another if its breaker refuses or it is full.
    pub(super) fn let_through(&self, mut at: usize, rng: &mut dyn Rng) -> Result<Stream, Miss> {
        let now = runtime::now();
        for _ in 0..=DRAWS {
            match self.ask(at, now) {
                Found::Stream(stream) => return Ok(stream),
                Found::Full => break,
                Found::Refused => at = self.picker.pick(rng).unwrap_or(at),
            }
        }
        let n = self.connections.len();
        let mut full = None;
        let mut room = LOOK_AROUND;
        for other in (0..n).map(|step| (at + step) % n) {
            match self.ask(other, now) {
                Found::Stream(stream) => return Ok(stream),
                Found::Full => {
                    full = full.or(Some(other));
                    room -= 1;
                    if room == 0 {
                        break;
                    }
                }
                // It costs next to nothing to ask, so that all are.
                Found::Refused => {}
            }
        }
        match full.and_then(|full| self.picker.endpoints().get(full)) {
            Some(endpoint) => Err(Miss::Saturated(endpoint.clone())),
            None => Err(Miss::Refused),
        }
    }

    fn ask(&self, at: usize, now: Instant) -> Found {
        let Some(endpoint) = self.picker.endpoints().get(at) else { return Found::Refused };
        let breaker = endpoint.state.breaker();
        let Some(ticket) = breaker.admit(now).pass() else { return Found::Refused };
        match self.reserve(at) {
            Some(stream) => Found::Stream(stream.on_trial(ticket)),
            None => {
                breaker.forget(ticket);
                Found::Full
            }
        }
    }
}
