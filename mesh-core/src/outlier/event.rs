use std::time::Instant;

/// What became of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<K> {
    /// It gets no calls.
    Eject {
        /// The endpoint.
        endpoint: K,
        /// What found it.
        why: Detector,
        /// Whose rules it was ejected by.
        by: Dialect,
        /// It returns at the first sweep from then on.
        until: Instant,
    },
    /// It gets calls again. Also told of an ejected endpoint that has left the cluster.
    Restore {
        /// The endpoint.
        endpoint: K,
    },
    /// It would have been ejected, but was not.
    Spared {
        /// The endpoint.
        endpoint: K,
        /// What found it.
        why: Detector,
        /// Why it stays.
        because: Spare,
    },
}

/// What finds outliers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detector {
    /// Answers of 500 and above in a row.
    Consecutive5xx,
    /// Answers of 502, 503 and 504 in a row.
    ConsecutiveGatewayFailure,
    /// Failures of our own in a row.
    ConsecutiveLocalOriginFailure,
    /// A success rate far below that of the others.
    SuccessRate,
    /// The same, of failures of our own.
    SuccessRateLocalOrigin,
    /// Too large a share of failures.
    FailurePercentage,
    /// The same, of failures of our own.
    FailurePercentageLocalOrigin,
}

impl Detector {
    /// The word for it in metrics and logs (gRFC A91, and Envoy's names of statistics).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Self::SuccessRate => "success_rate",
            Self::SuccessRateLocalOrigin => "local_origin_success_rate",
            Self::FailurePercentage => "failure_percentage",
            Self::FailurePercentageLocalOrigin => "local_origin_failure_percentage",
        }
    }
}

/// Why an outlier was not ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spare {
    /// Its detector is enforced for a share of them only.
    Enforcement,
    /// As many are ejected as may be.
    MaxEjection,
}

impl Spare {
    /// The word for it in metrics and logs (gRFC A91).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforcement => "enforcement_percentage",
            Self::MaxEjection => "max_ejection_overflow",
        }
    }
}

/// By whose rules an attempt is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// HTTP requests.
    Envoy,
    /// gRPC calls (gRFC A50).
    Grpc,
}
