use std::ops::Range;
use std::time::Duration;

use http::StatusCode;

use crate::classify::Class;

/// When requests are refused, and how many of them (`AdmissionControl`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How long answers count (`sampling_window`), in whole seconds: 30 s. A window of more than a
    /// minute moves on by a sixtieth at a time.
    pub window: Duration,
    /// Nothing is refused while this share of the answers is good, in `0.01..=1.0`
    /// (`sr_threshold`): 0.95.
    pub threshold: f64,
    /// How much more is refused than is bad, from 1.0 (`aggression`): 1.0.
    pub aggression: f64,
    /// Nothing is refused while there are fewer requests per second (`rps_threshold`): 0.
    pub rps: u32,
    /// Never more than this share is refused, in `0.0..=1.0` (`max_rejection_probability`): 0.8.
    pub most: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            threshold: 0.95,
            aggression: 1.0,
            rps: 0,
            most: 0.8,
        }
    }
}

/// Which answers are good (`SuccessCriteria`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria {
    http: Vec<Range<u16>>,
    /// A bit for each code.
    grpc: u32,
}

impl Criteria {
    /// The same, but HTTP statuses in one of `ranges` are good and no others.
    #[must_use]
    pub fn http(mut self, ranges: impl IntoIterator<Item = Range<u16>>) -> Self {
        self.http = ranges.into_iter().collect();
        self
    }

    /// The same, but the gRPC codes `codes` are good and no others. Those above 16 are none.
    #[must_use]
    pub fn grpc(mut self, codes: impl IntoIterator<Item = u32>) -> Self {
        self.grpc =
            codes.into_iter().filter(|code| *code <= 16).fold(0, |set, code| set | 1 << code);
        self
    }

    /// Whether an HTTP status is good.
    #[must_use]
    pub fn of_status(&self, status: StatusCode) -> Class {
        of(self.http.iter().any(|range| range.contains(&status.as_u16())))
    }

    /// Whether a gRPC code is good; one that cannot be read is not.
    #[must_use]
    pub fn of_code(&self, code: Option<u16>) -> Class {
        of(code.is_some_and(|code| code <= 16 && self.grpc & (1 << code) != 0))
    }
}

fn of(is_good: bool) -> Class {
    if is_good { Class::Good } else { Class::Bad }
}

/// Statuses below 500, and gRPC codes that less traffic would not change: all but
/// DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
impl Default for Criteria {
    fn default() -> Self {
        Self { http: Vec::new(), grpc: 0 }
            .http(std::iter::once(0..500))
            .grpc((0..=16).filter(|code| !matches!(code, 4 | 8 | 10 | 13 | 14 | 15)))
    }
}
