//! What one endpoint made of the attempts sent to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::config::Config;
use super::event::Detector;
use crate::classify::Class;

/// Counts the attempts at one endpoint. Shared by all its connections; atomics only.
///
/// Nothing is counted while detection is off, which is one load.
#[derive(Debug, Default)]
pub struct Counter {
    rules: Arc<Rules>,
    answers: Bucket,
    local: Bucket,
    calls: Bucket,
    in_a_row: [AtomicU32; 3],
    /// A bit for each of [`IN_A_ROW`] whose threshold was reached.
    tripped: AtomicU8,
}

/// A failure of our own, not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// No connection, or the connection or stream broke: 503 where such failures are not told
    /// apart.
    Broke,
    /// No answer in time: 504.
    TimedOut,
}

impl Counter {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            answers: Bucket::default(),
            local: Bucket::default(),
            calls: Bucket::default(),
            in_a_row: Default::default(),
            tripped: AtomicU8::new(0),
        }
    }

    /// Whether attempts are counted.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.rules.mode.load(Ordering::Relaxed) != OFF
    }

    /// An HTTP request was sent on a connection.
    pub fn sent(&self) {
        match self.rules.mode.load(Ordering::Relaxed) {
            OFF => return,
            SPLIT => {
                self.local.add(false);
                self.end_row(LOCAL);
            }
            _ => {}
        }
        self.rules.note_http();
    }

    /// The head of an answer to an HTTP request has come; `true` if
    /// [`handle_tripped`](super::Outlier::handle_tripped) is due.
    pub fn answered(&self, status: u16) -> bool {
        self.is_on() && self.count(status)
    }

    /// An HTTP request has failed without the endpoint's doing, or no connection could be had;
    /// `true` as for [`answered`](Self::answered).
    pub fn failed(&self, failure: Local) -> bool {
        match (self.rules.mode.load(Ordering::Relaxed), failure) {
            (OFF, _) => false,
            (SPLIT, _) => {
                self.local.add(true);
                self.one_more(LOCAL)
            }
            (_, Local::Broke) => self.count(503),
            (_, Local::TimedOut) => self.count(504),
        }
    }

    /// As [`failed`](Self::failed) of an attempt to connect that no request is known to have
    /// waited for. Counts only if HTTP requests are sent at all: A50 judges calls alone.
    pub fn unreachable(&self) -> bool {
        self.rules.http.load(Ordering::Relaxed) && self.failed(Local::Broke)
    }

    /// A gRPC call has ended: good is `OK`, and every other status is bad.
    pub fn ended(&self, class: Class) {
        if self.is_on() {
            self.calls.add(class == Class::Bad);
        }
    }

    fn count(&self, status: u16) -> bool {
        let is_failure = (500..600).contains(&status);
        self.answers.add(is_failure);
        if !is_failure {
            self.end_row(GATEWAY);
            self.end_row(ANY_5XX);
            return false;
        }
        let gateway = match status {
            502..=504 => self.one_more(GATEWAY),
            _ => {
                self.end_row(GATEWAY);
                false
            }
        };
        self.one_more(ANY_5XX) || gateway
    }

    fn one_more(&self, row: usize) -> bool {
        let count = self.in_a_row[row].fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let is_due = count == self.rules.thresholds[row].load(Ordering::Relaxed);
        if is_due {
            self.tripped.fetch_or(1 << row, Ordering::Release);
        }
        is_due
    }

    /// Written only where it changes something: all threads that send requests share the line.
    fn end_row(&self, row: usize) {
        if self.in_a_row[row].load(Ordering::Relaxed) != 0 {
            self.in_a_row[row].store(0, Ordering::Relaxed);
        }
    }

    /// The rows whose threshold was reached, since the last time.
    pub(super) fn take_tripped(&self) -> impl Iterator<Item = usize> + use<> {
        let bits = match self.tripped.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.tripped.swap(0, Ordering::Acquire),
        };
        (0..IN_A_ROW.len()).filter(move |row| bits & (1 << row) != 0)
    }

    pub(super) fn restart_row(&self, row: usize) {
        self.in_a_row[row].store(0, Ordering::Relaxed);
    }

    /// The thresholds have changed: rows that have reached the new ones already are due at their next
    /// failure.
    pub(super) fn fit_rows(&self) {
        for (row, threshold) in self.in_a_row.iter().zip(&self.rules.thresholds) {
            let threshold = threshold.load(Ordering::Relaxed);
            // A row that has just ended stays ended.
            let fit = |row: u32| (threshold > 0 && row >= threshold).then(|| threshold - 1);
            let _ = row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fit);
        }
    }

    /// Forgets all rows.
    pub(super) fn restart(&self) {
        (0..IN_A_ROW.len()).for_each(|row| self.restart_row(row));
        self.tripped.store(0, Ordering::Relaxed);
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Sample {
        Sample { answers: self.answers.take(), local: self.local.take(), calls: self.calls.take() }
    }
}

/// What all counters of a cluster go by.
#[derive(Debug, Default)]
pub(super) struct Rules {
    mode: AtomicU8,
    thresholds: [AtomicU32; 3],
    /// Whether an HTTP request has been sent.
    http: AtomicBool,
}

impl Rules {
    pub(super) fn set(&self, config: Option<&Config>) {
        let Some(config) = config else { return self.mode.store(OFF, Ordering::Relaxed) };
        let rows = [
            config.consecutive_gateway_failure,
            config.consecutive_5xx,
            config.consecutive_local_origin_failure,
        ];
        for (threshold, row) in self.thresholds.iter().zip(rows) {
            threshold.store(row.threshold, Ordering::Relaxed);
        }
        let mode = if config.split_local_origin { SPLIT } else { ON };
        self.mode.store(mode, Ordering::Relaxed);
    }

    fn note_http(&self) {
        if !self.http.load(Ordering::Relaxed) {
            self.http.store(true, Ordering::Relaxed);
        }
    }
}

/// What was counted between two sweeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) answers: Tally,
    pub(super) local: Tally,
    pub(super) calls: Tally,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) total: u32,
    pub(super) failed: u32,
}

/// Both numbers in one, so that they fit together: the total above, the failures below.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

impl Bucket {
    fn add(&self, is_failure: bool) {
        self.0.fetch_add((1 << 32) | u64::from(is_failure), Ordering::Relaxed);
    }

    fn take(&self) -> Tally {
        if self.0.load(Ordering::Relaxed) == 0 {
            return Tally::default();
        }
        let both = self.0.swap(0, Ordering::Relaxed);
        let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Tally { total: low(both >> 32), failed: low(both) }
    }
}

const OFF: u8 = 0;
const ON: u8 = 1;
const SPLIT: u8 = 2;

const GATEWAY: usize = 0;
const ANY_5XX: usize = 1;
const LOCAL: usize = 2;

/// The detectors that count in a row, in the order in which Envoy looks at them.
pub(super) const IN_A_ROW: [Detector; 3] = [
    Detector::ConsecutiveGatewayFailure,
    Detector::Consecutive5xx,
    Detector::ConsecutiveLocalOriginFailure,
];
