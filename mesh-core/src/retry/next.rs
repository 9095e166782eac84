use std::time::Instant;

use super::budget::Permit;
use super::conditions::Conditions;

/// What follows from an outcome.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// The request is sent again.
    Again {
        /// When.
        at: Instant,
        /// The condition that is met.
        why: Conditions,
        /// Its place in the budget, to be held until the attempt has ended.
        permit: Option<Permit>,
    },
    /// The outcome is the caller's, and nothing about it calls for a retry.
    Commit,
    /// The outcome is the caller's, although it calls for a retry.
    Stop(Stop),
}

/// Why a request is not sent again although its outcome calls for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// It was sent as often as the policy allows.
    Attempts,
    /// Too many other calls are being sent again (`upstream_rq_retry_overflow`).
    Budget,
    /// Too many calls fail (gRFC A6).
    Throttled,
    /// It would be too late.
    Deadline,
    /// The server says not to, or to wait for too long.
    Pushback,
    /// Part of the response has been passed on, or the request is not there any more.
    Committed,
    /// It is made for a request that was itself sent again, which the policy makes once.
    Inherited,
}

impl Stop {
    /// The word for it in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Throttled => "throttled",
            Self::Deadline => "deadline",
            Self::Pushback => "pushback",
            Self::Committed => "committed",
            Self::Inherited => "inherited",
        }
    }
}
