//! What a case has found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use tonic::Status;

/// Counts, and those of them that are not as they should be. Prints as one line, and one more for
/// each miss.
#[derive(Debug)]
pub(crate) struct Findings {
    case: &'static str,
    started: Instant,
    elapsed: Duration,
    counts: Vec<String>,
    misses: Vec<String>,
}

impl Findings {
    pub(crate) fn new(case: &'static str) -> Self {
        let (counts, misses) = (Vec::new(), Vec::new());
        Self { case, started: Instant::now(), elapsed: Duration::ZERO, counts, misses }
    }

    /// Something that is only told.
    pub(crate) fn note(&mut self, what: &str, value: u64) {
        self.counts.push(format!("{what} {value}"));
    }

    pub(crate) fn exactly(&mut self, what: &str, value: u64, want: u64) {
        self.hold(what, value, value == want, &format!("not {want}"));
    }

    pub(crate) fn at_most(&mut self, what: &str, value: u64, most: u64) {
        self.hold(what, value, value <= most, &format!("more than {most}"));
    }

    pub(crate) fn at_least(&mut self, what: &str, value: u64, least: u64) {
        self.hold(what, value, value >= least, &format!("less than {least}"));
    }

    /// None of the calls may have failed.
    pub(crate) fn failures(&mut self, failures: &[Status]) {
        let mut kinds = BTreeMap::<String, u64>::new();
        for failure in failures {
            let kind = format!("{:?}: {}", failure.code(), failure.message());
            *kinds.entry(kind).or_default() += 1;
        }
        self.note("failures", failures.len() as u64);
        self.misses.extend(kinds.iter().map(|(kind, times)| format!("{times} x {kind}")));
    }

    pub(crate) fn miss(&mut self, why: String) {
        self.misses.push(why);
    }

    pub(crate) fn end(&mut self) {
        self.elapsed = self.started.elapsed();
    }

    pub(crate) fn misses(&self) -> usize {
        self.misses.len()
    }

    fn hold(&mut self, what: &str, value: u64, holds: bool, wrong: &str) {
        self.note(what, value);
        if !holds {
            self.misses.push(format!("{what} is {value}, {wrong}"));
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.misses.is_empty() { "ok    " } else { "FAILED" };
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{verdict} {:34} {seconds:5.1} s  {}", self.case, self.counts.join(", "))?;
        for miss in &self.misses {
            write!(f, "\n       {miss}")?;
        }
        Ok(())
    }
}
