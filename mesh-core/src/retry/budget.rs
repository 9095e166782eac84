use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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
    /// Millionths of retries that were made and not earned yet ([`OfRetries::Once`]).
    ///
    /// [`OfRetries::Once`]: super::OfRetries::Once
    spent: AtomicU64,
}

impl Budget {
    /// Counts a call from its first attempt to its end, including the waits between attempts.
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// A call starts that is not made because a request was sent again: a share of a retry is
    /// earned.
    pub(super) fn earn(&self, limit: Limit) {
        let Limit::Share { ratio, .. } = limit else { return };
        // Nothing is usually spent: then there is nothing to write.
        if self.spent.load(Ordering::Relaxed) > 0 {
            let earn = |spent: u64| Some(spent.saturating_sub(ratio.numerator().into()));
            let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
        }
    }

    /// A call starts that is made because a request was sent again. It is made in any case, but its
    /// price is known, up to a bound: from that on it takes too long to be forgotten.
    pub(super) fn owe(&self, limit: Limit) {
        let Limit::Share { min, .. } = limit else { return };
        let most = (u64::from(min) + MAX_OWED) * RETRY;
        let owe = |spent: u64| Some((spent + RETRY).min(most.max(spent)));
        let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, owe);
    }

    /// Pays for one retry, if enough was earned.
    pub(super) fn spend(&self, limit: Limit) -> bool {
        let Limit::Share { min, .. } = limit else { return true };
        let most = u64::from(min) * RETRY;
        let spend = |spent: u64| Some(spent + RETRY).filter(|spent| *spent <= most);
        self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
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

    /// Calls that are being sent again.
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
pub struct UnderWay(Arc<Budget>);

impl UnderWay {
    /// The budget that counts it.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
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

const RETRY: u64 = 1_000_000;

/// Retries of others that are remembered at the most, besides those that are always allowed.
const MAX_OWED: u64 = 10;
