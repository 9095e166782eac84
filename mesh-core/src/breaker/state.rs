use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::admission::{Admission, Change, Pass};
use super::config::{Config, Ratio};
use super::word::{Phase, Word};
use crate::classify::Class;
use crate::rng::Rng;
use crate::time::Epoch;

/// Refuses requests to a server that fails. Clones share their state.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
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

impl Breaker {
    /// A breaker that lets requests pass.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Shared {
            config,
            epoch: Epoch::default(),
            word: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            window: AtomicU64::new(0),
        }))
    }

    /// Whether a request may go now.
    pub fn admit(&self, now: Instant) -> Admission {
        let millis = self.0.epoch.millis(now);
        loop {
            let word = self.word();
            match word.phase() {
                Phase::Closed => return Admission::Pass(Pass::new(self.clone(), word)),
                Phase::Probing => return Admission::Refuse { wait: Duration::ZERO },
                Phase::Open if millis < word.until() => {
                    let wait = Duration::from_millis(word.until() - millis);
                    return Admission::Refuse { wait };
                }
                Phase::Open => {
                    let probing = word.next(Phase::Probing, word.openings(), word.until());
                    if self.change(word, probing) {
                        return Admission::Probe(Pass::new(self.clone(), probing));
                    }
                }
            }
        }
    }

    /// Counts an outcome of a request that was let through when the state was `word`.
    pub(super) fn done(
        &self,
        word: Word,
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
            Class::Bad if is_probe => self.open(word, retry_after, now, rng),
            Class::Good | Class::Bad if !self.is_too_much(class, now) => Change::None,
            Class::Good | Class::Bad => self.open(word, retry_after, now, rng),
        }
    }

    /// Takes the role of the probe back from a request of which nothing is known.
    pub(super) fn forget(&self, word: Word) {
        if word.phase() == Phase::Probing {
            let open = word.next(Phase::Open, word.openings(), word.until());
            // Fails if the outcome was told, which changed the state.
            self.change(word, open);
        }
    }

    fn close(&self, word: Word) -> Change {
        self.0.failures.store(0, Ordering::Relaxed);
        self.0.window.store(0, Ordering::Relaxed);
        if self.change(word, word.next(Phase::Closed, 0, 0)) {
            Change::Closed
        } else {
            Change::None
        }
    }

    fn open(
        &self,
        word: Word,
        retry_after: Option<Duration>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Change {
        let config = &self.0.config;
        let openings = word.openings().saturating_add(1);
        let told = retry_after.unwrap_or_default().min(config.longest_retry_after);
        let wait = config.backoff.delay(openings, rng).max(told);
        let until = self.0.epoch.millis(now).saturating_add(millis(wait)).saturating_add(1);
        if self.change(word, word.next(Phase::Open, openings, until)) {
            Change::Opened(wait)
        } else {
            Change::None
        }
    }

    /// Counts an outcome; whether there are too many failures now.
    fn is_too_much(&self, class: Class, now: Instant) -> bool {
        let config = &self.0.config;
        let in_a_row = match class {
            Class::Bad => self.0.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1),
            Class::Good => {
                self.0.failures.store(0, Ordering::Relaxed);
                0
            }
        };
        let row = config.consecutive.is_some_and(|most| in_a_row >= most.get());
        let share = config.ratio.is_some_and(|ratio| self.exceeds(&ratio, class, now));
        row || share
    }

    fn exceeds(&self, ratio: &Ratio, class: Class, now: Instant) -> bool {
        let index = (self.0.epoch.millis(now) / millis(ratio.window).max(1)) & INDEX;
        let mut old = self.0.window.load(Ordering::Relaxed);
        loop {
            let (requests, failures) = count(old, index, class);
            let new = index << (2 * COUNT_BITS) | requests << COUNT_BITS | failures;
            let window = &self.0.window;
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
        Word(self.0.word.load(Ordering::Acquire))
    }

    fn change(&self, from: Word, to: Word) -> bool {
        self.0.word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

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
