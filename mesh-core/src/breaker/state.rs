use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::admission::{Admission, Change, Ticket};
use super::config::{Config, Ratio};
use super::word::{Phase, Word};
use crate::classify::Class;
use crate::rng::Rng;
use crate::time::Epoch;

/// What a breaker knows, for owners that keep its configuration elsewhere: it may change from one
/// request to the next. A new one lets requests pass.
#[derive(Debug, Default)]
pub struct State {
    epoch: Epoch,
    word: AtomicU64,
    /// Failures in a row.
    failures: AtomicU32,
    /// The window (24 bits), its requests and failures (20 bits each).
    window: AtomicU64,
}

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const INDEX: u64 = (1 << 24) - 1;

impl State {
    /// Whether a request may go now. If it may, [`done`](Self::done) or [`forget`](Self::forget)
    /// has to be called with the ticket.
    pub fn admit(&self, now: Instant) -> Admission<Ticket> {
        loop {
            let word = self.word();
            match word.phase() {
                Phase::Closed => return Admission::Pass(Ticket(word)),
                Phase::Probing | Phase::Open => {
                    let millis = self.epoch.millis(now);
                    if word.phase() == Phase::Probing && millis < word.until() {
                        return Admission::Refuse { wait: Duration::ZERO };
                    }
                    if millis < word.until() {
                        let wait = Duration::from_millis(word.until() - millis);
                        return Admission::Refuse { wait };
                    }
                    // A probe that is never answered does not keep the breaker open for ever.
                    let until = millis.saturating_add(PROBE_PATIENCE);
                    let probing = word.next(Phase::Probing, word.openings(), until);
                    if self.change(word, probing) {
                        return Admission::Probe(Ticket(probing));
                    }
                }
            }
        }
    }

    /// Says what came of the request with `ticket`: its class, and how long the server wants to be
    /// left alone, as [`Pass::done`](super::Pass::done) does.
    pub fn done(
        &self,
        Ticket(word): Ticket,
        config: &Config,
        (class, retry_after): (Class, Option<Duration>),
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Change {
        if self.word() != word {
            return Change::None;
        }
        let is_probe = word.phase() == Phase::Probing;
        match class {
            Class::Good if is_probe => self.close(word),
            Class::Good | Class::Bad if !is_probe && !self.is_too_much(config, class, now) => {
                Change::None
            }
            Class::Good | Class::Bad => self.open(word, (config, retry_after), now, rng),
        }
    }

    /// Says that nothing is known of the request with `ticket`: if it is the probe, the next
    /// request is.
    pub fn forget(&self, Ticket(word): Ticket) {
        if word.phase() == Phase::Probing {
            let open = word.next(Phase::Open, word.openings(), 0);
            // Fails if the outcome was told, which changed the state.
            self.change(word, open);
        }
    }

    fn close(&self, word: Word) -> Change {
        self.failures.store(0, Ordering::Relaxed);
        self.window.store(0, Ordering::Relaxed);
        if self.change(word, word.next(Phase::Closed, 0, 0)) {
            Change::Closed
        } else {
            Change::None
        }
    }

    fn open(
        &self,
        word: Word,
        (config, retry_after): (&Config, Option<Duration>),
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Change {
        let openings = word.openings().saturating_add(1);
        let told = retry_after.unwrap_or_default().min(config.longest_retry_after);
        let wait = config.backoff.delay(openings, rng).max(told);
        let until = self.epoch.millis(now).saturating_add(millis(wait)).saturating_add(1);
        if self.change(word, word.next(Phase::Open, openings, until)) {
            Change::Opened(wait)
        } else {
            Change::None
        }
    }

    /// Counts an outcome; whether there are too many failures now.
    fn is_too_much(&self, config: &Config, class: Class, now: Instant) -> bool {
        let in_a_row = match class {
            Class::Bad => self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1),
            Class::Good => {
                // Written only where it changes something: all threads that send share the line.
                if self.failures.load(Ordering::Relaxed) != 0 {
                    self.failures.store(0, Ordering::Relaxed);
                }
                0
            }
        };
        let row = config.consecutive.is_some_and(|most| in_a_row >= most.get());
        let share = config.ratio.is_some_and(|ratio| self.exceeds(&ratio, class, now));
        row || share
    }

    fn exceeds(&self, ratio: &Ratio, class: Class, now: Instant) -> bool {
        let index = (self.epoch.millis(now) / millis(ratio.window).max(1)) & INDEX;
        let mut old = self.window.load(Ordering::Relaxed);
        loop {
            let (requests, failures) = count(old, index, class);
            let new = index << (2 * COUNT_BITS) | requests << COUNT_BITS | failures;
            let window = &self.window;
            match window.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let is_enough = requests >= u64::from(ratio.requests.get());
                    // Both are below 2^20, so exact.
                    let share = failures as f64 / requests as f64;
                    return is_enough && class == Class::Bad && share >= ratio.failures;
                }
                Err(found) => old = found,
            }
        }
    }

    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    fn change(&self, from: Word, to: Word) -> bool {
        self.word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// After so many milliseconds without the outcome of a probe there is another.
const PROBE_PATIENCE: u64 = 60_000;

/// Requests and failures of the window `index` with one more outcome.
fn count(old: u64, index: u64, class: Class) -> (u64, u64) {
    let (mut requests, mut failures) = ((old >> COUNT_BITS) & COUNT, old & COUNT);
    if old >> (2 * COUNT_BITS) != index {
        (requests, failures) = (0, 0);
    } else if requests == COUNT {
        // Keeps the share.
        (requests, failures) = (requests / 2, failures / 2);
    }
    (requests + 1, failures + u64::from(class == Class::Bad))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
