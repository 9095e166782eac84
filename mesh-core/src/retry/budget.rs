use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::matcher::Fraction;

/// What bounds the retries under way to one cluster, of all calls together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A share of the calls that are under way for the first time, but not below `min`
    /// (Envoy's `retry_budget`).
    ///
    /// Envoy counts retries among the calls, so that 20 % let through 25 retries for 100 first
    /// attempts; here they are 20.
    Share {
        /// The share.
        ratio: Fraction,
        /// So many retries are always allowed (`min_retry_concurrency`).
        min: u32,
    },
    /// So many (`max_retries` of `circuit_breakers`).
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
}

impl Budget {
    /// Counts a call from its first attempt to its end, including the waits between attempts.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay { budget: self.clone(), is_again: false }
    }

    /// Counts a call that is made because a request was sent again as one that is being sent again
    /// itself.
    pub(super) fn enter_again(self: &Arc<Self>) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(1, Ordering::Relaxed);
        UnderWay { budget: self.clone(), is_again: true }
    }

    /// Allows one of the calls to be sent again, unless too many are.
    ///
    /// The permit is held while the retry is waited for and until it ends.
    #[must_use]
    pub fn admit(self: &Arc<Self>, limit: Limit) -> Option<Permit> {
        let retries = self.retries.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // Taken before it is dropped, which gives the count back.
        let permit = Permit(self.clone());
        (retries <= limit.most(self.calls(), retries)).then_some(permit)
    }

    /// Calls under way.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that are being sent again, here or on the way here.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }
}

impl Limit {
    /// How many retries there may be while `retries` of `calls` calls are being sent again.
    fn most(self, calls: u32, retries: u32) -> u32 {
        match self {
            Self::AtMost(most) => most,
            Self::Share { ratio, min } => {
                let firsts = u64::from(calls.saturating_sub(retries));
                let share = firsts * u64::from(ratio.numerator()) / 1_000_000;
                u32::try_from(share).unwrap_or(u32::MAX).max(min)
            }
        }
    }
}

/// A call that a [`Budget`] counts. Dropping it ends the count.
#[derive(Debug)]
pub struct UnderWay {
    budget: Arc<Budget>,
    is_again: bool,
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
        if self.is_again {
            self.budget.retries.fetch_sub(1, Ordering::Relaxed);
        }
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
