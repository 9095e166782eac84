use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::recent::Recent;
use crate::matcher::Fraction;

/// What bounds the retries to one cluster, of all calls together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A share of the calls (Envoy's `retry_budget`), in two ways: so many may be under way at one
    /// time, and so many may be made for the calls of the last seconds.
    ///
    /// The first is Envoy's, except that the calls are those that may be sent again, from their start
    /// to the head of their response: Envoy takes all requests to the cluster, to their end, and
    /// counts retries among them, so that 20 % let through 25 retries for 100 first attempts; here
    /// they are 20. Alone it bounds nothing where retries
    /// fail sooner than first attempts, hence the second: of the calls of the last five to ten
    /// seconds that take less than five, not more than the share are sent again.
    Share {
        /// The share.
        ratio: Fraction,
        /// So many retries may be under way where the share is less (`min_retry_concurrency`), and
        /// ten times as many may be made in the last five to ten seconds.
        min: u32,
    },
    /// So many under way (`max_retries` of `circuit_breakers`).
    AtMost(u32),
}

/// 20 % of the calls, and always three (Envoy's defaults for `retry_budget`).
impl Default for Limit {
    fn default() -> Self {
        Self::Share { ratio: Fraction::per_million(200_000), min: 3 }
    }
}

/// Counts the calls to one cluster and those of them that are being sent again.
///
/// Shared by all calls and kept when configuration changes: the limit is an argument.
#[derive(Debug, Default)]
pub struct Budget {
    calls: AtomicU32,
    retries: AtomicU32,
    recent: Recent,
}

impl Budget {
    /// Counts a call from its first attempt to its end, including the waits between attempts.
    pub(super) fn enter(self: &Arc<Self>, limit: Limit) -> UnderWay {
        if let Limit::Share { .. } = limit {
            self.recent.first();
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay { budget: self.clone(), _retry: None }
    }

    /// Counts a call that is made because a request was sent again. It is made in any case; to a
    /// share it is one of the retries.
    pub(super) fn enter_again(self: &Arc<Self>, limit: Limit) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let retry = match limit {
            Limit::Share { .. } => {
                self.recent.again();
                self.retries.fetch_add(1, Ordering::Relaxed);
                Some(Permit(self.clone()))
            }
            Limit::AtMost(_) => None,
        };
        UnderWay { budget: self.clone(), _retry: retry }
    }

    /// Allows one of the calls to be sent again, unless too many are.
    ///
    /// The permit is held while the retry is waited for and until it ends.
    #[must_use]
    pub fn admit(self: &Arc<Self>, limit: Limit, now: Instant) -> Option<Permit> {
        let others = self.retries.fetch_add(1, Ordering::Relaxed);
        // Taken before it is dropped, which gives the count back.
        let permit = Permit(self.clone());
        let calls = self.calls();
        let is_within = match limit {
            Limit::AtMost(most) => others < most,
            Limit::Share { ratio, min } => {
                let share = ratio.of(calls.saturating_sub(others).saturating_sub(1));
                let reserve = if share < min { min.saturating_mul(RESERVE) } else { 0 };
                let firsts = calls.saturating_sub(others);
                others < share.max(min) && self.recent.admit(ratio, reserve, firsts, now)
            }
        };
        is_within.then_some(permit)
    }

    /// Calls under way.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that are being sent again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// A call that a [`Budget`] counts. Dropping it ends the count.
#[derive(Debug)]
pub struct UnderWay {
    budget: Arc<Budget>,
    /// Its place among the retries, if it is one of somebody else's.
    _retry: Option<Permit>,
}

impl UnderWay {
    /// The budget that counts it.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.budget.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A retry that a [`Budget`] has allowed. Dropping it gives the place back.
#[derive(Debug)]
pub struct Permit(Arc<Budget>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.retries.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many retries for each that is always allowed under way, in the last seconds: with Envoy's
/// default of three these are three to six a second.
const RESERVE: u32 = 10;
