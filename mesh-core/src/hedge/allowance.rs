use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::matcher::Fraction;
use crate::retry::Throttle;

/// What hedging may cost: a share of all calls, which can be saved up to a bound.
///
/// Shared by all calls. However they come, there are never more additional attempts than the share
/// of the calls so far, plus what can be saved up.
#[derive(Debug)]
pub struct Allowance {
    /// Millionths of attempts.
    saved: AtomicU64,
    most: u64,
    share: u64,
    throttle: Option<Arc<Throttle>>,
}

impl Allowance {
    /// `share` of all calls, of which up to `burst` attempts can be saved up. Starts with these.
    #[must_use]
    pub fn new(share: Fraction, burst: u32) -> Self {
        let most = u64::from(burst) * ATTEMPT;
        Self { saved: AtomicU64::new(most), most, share: share.numerator().into(), throttle: None }
    }

    /// The same, but nothing is paid for while so many calls fail that none is sent again either
    /// (gRFC A6). The throttle is that of the retries, which tell it of successes and failures.
    #[must_use]
    pub fn throttled(mut self, throttle: Arc<Throttle>) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// A call starts.
    pub fn earn(&self) {
        // Full is what it usually is: then there is nothing to write.
        if self.saved.load(Ordering::Relaxed) < self.most {
            let earn = |saved: u64| Some((saved + self.share).min(self.most));
            let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
        }
    }

    /// Pays for one additional attempt, if enough is saved and the throttle allows it.
    #[must_use]
    pub fn spend(&self) -> bool {
        if self.throttle.as_ref().is_some_and(|throttle| !throttle.allows()) {
            return false;
        }
        let spend = |saved: u64| saved.checked_sub(ATTEMPT);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Gives back what was paid for an attempt that did not start after all.
    pub fn refund(&self) {
        let refund = |saved: u64| Some((saved + ATTEMPT).min(self.most));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refund);
    }
}

/// 5 % of all calls, ten saved up.
impl Default for Allowance {
    fn default() -> Self {
        Self::new(Fraction::per_million(50_000), 10)
    }
}

const ATTEMPT: u64 = 1_000_000;
