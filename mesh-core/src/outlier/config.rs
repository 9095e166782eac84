//! The settings of outlier detection: the validated `OutlierDetection`.

use std::time::Duration;

use crate::rng::Rng;

/// When endpoints are ejected, and for how long (`envoy.config.cluster.v3.OutlierDetection`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between sweeps. Default 10 s; less than 1 ms is 1 ms.
    pub interval: Duration,
    /// Ejections take so long, times how often the endpoint was ejected. Default 30 s.
    pub base_ejection_time: Duration,
    /// But no longer than this, or `base_ejection_time` if that is more. Default 300 s.
    pub max_ejection_time: Duration,
    /// Up to so much is added to each ejection of an HTTP endpoint. Default 0.
    pub max_ejection_time_jitter: Duration,
    /// The share of endpoints that may be ejected at once. Default 10 %. In Envoy's dialect an
    /// ejection must not lead above it; in gRPC's there is one more as long as it is not reached.
    pub max_ejection_percent: Percent,
    /// Whether one endpoint may be ejected whatever that share is (Envoy's dialect only).
    pub always_eject_one: bool,
    /// Answers of 500 and above in a row (Envoy's dialect only). Default 5, enforced.
    pub consecutive_5xx: Consecutive,
    /// Answers of 502, 503 or 504 in a row (Envoy's dialect only). Default 5, not enforced.
    pub consecutive_gateway_failure: Consecutive,
    /// Failures of our own in a row (Envoy's dialect only): no connection, a broken one, no answer
    /// in time. Counts only with `split_local_origin`. Default 5, enforced.
    pub consecutive_local_origin_failure: Consecutive,
    /// Whether failures of our own are told from answers of 500 and above. Default: they are 503
    /// and 504.
    pub split_local_origin: bool,
    /// Ejects endpoints whose success rate is too far below the mean.
    pub success_rate: SuccessRate,
    /// Ejects endpoints that fail too large a share of requests.
    pub failure_percentage: FailurePercentage,
}

impl Default for Config {
    fn default() -> Self {
        let consecutive = |enforcing| Consecutive { threshold: 5, enforcing };
        Self {
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_time_jitter: Duration::ZERO,
            max_ejection_percent: Percent(10),
            always_eject_one: false,
            consecutive_5xx: consecutive(Percent::ALL),
            consecutive_gateway_failure: consecutive(Percent::NONE),
            consecutive_local_origin_failure: consecutive(Percent::ALL),
            split_local_origin: false,
            success_rate: SuccessRate::default(),
            failure_percentage: FailurePercentage::default(),
        }
    }
}

impl Config {
    /// How long the ejection lasts of an endpoint with this `multiplier`.
    pub(super) fn ejection_time(&self, multiplier: u32) -> Duration {
        let most = self.max_ejection_time.max(self.base_ejection_time);
        self.base_ejection_time.saturating_mul(multiplier).min(most)
    }

    /// Whether gRPC's dialect looks at anything.
    pub(super) fn judges_grpc(&self) -> bool {
        let (rate, failures) = (self.success_rate.enforcing, self.failure_percentage.enforcing);
        rate != Percent::NONE || failures != Percent::NONE
    }
}

/// So many failures in a row eject an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consecutive {
    /// How many. 0 is never.
    pub threshold: u32,
    /// How many of the endpoints that are found are ejected.
    pub enforcing: Percent,
}

/// Ejects endpoints whose success rate is below the mean of all by a multiple of the standard
/// deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// So many endpoints must have had enough requests. Default 5.
    pub minimum_hosts: u32,
    /// So many requests between two sweeps are enough. Default 100.
    pub request_volume: u32,
    /// Thousandths of the standard deviation. Default 1900, which also ejects healthy endpoints:
    /// chance alone takes the worst of twenty equals as far from the mean now and then. 4000 does
    /// not, and finds one that fails everything among eighteen or more.
    pub stdev_factor: u32,
    /// How many of the endpoints that are found are ejected. Default 100 %. In gRPC's dialect 0
    /// switches the detector off.
    pub enforcing: Percent,
    /// The same of failures of our own. Default 100 %.
    pub enforcing_local_origin: Percent,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1900,
            enforcing: Percent::ALL,
            enforcing_local_origin: Percent::ALL,
        }
    }
}

/// Ejects endpoints that fail a share of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// The share. Default 85 %. Envoy's dialect ejects at it, gRPC's above it.
    pub threshold: Percent,
    /// So many endpoints must have had enough requests. Default 5.
    pub minimum_hosts: u32,
    /// So many requests between two sweeps are enough. Default 50.
    pub request_volume: u32,
    /// How many of the endpoints that are found are ejected. Default 0. In gRPC's dialect 0
    /// switches the detector off.
    pub enforcing: Percent,
    /// The same of failures of our own. Default 0.
    pub enforcing_local_origin: Percent,
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self {
            threshold: Percent(85),
            minimum_hosts: 5,
            request_volume: 50,
            enforcing: Percent::NONE,
            enforcing_local_origin: Percent::NONE,
        }
    }
}

/// 0 to 100 of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Half of it.
    pub const HALF: Self = Self(50);

    /// All of it.
    pub const ALL: Self = Self(100);

    /// `None` above 100.
    #[must_use]
    pub fn new(percent: u32) -> Option<Self> {
        u8::try_from(percent).ok().filter(|percent| *percent <= 100).map(Self)
    }

    /// How many of a hundred.
    #[must_use]
    pub fn value(self) -> u32 {
        u32::from(self.0)
    }

    /// Decides for one. Takes a number from `rng` only where the answer is not known.
    pub(super) fn decide(self, rng: &mut dyn Rng) -> bool {
        match self {
            Self::NONE => false,
            Self::ALL => true,
            Self(percent) => rng.below(100) < u32::from(percent),
        }
    }
}
