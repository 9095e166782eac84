use std::time::{Duration, Instant};

use http::Method;

use super::allowance::Allowance;
use super::latencies::Latencies;
use super::policy::{Policy, Safe, Safety, is_safe};
use crate::classify::Class;
use crate::rng::Rng;

/// The attempts of one call that go on at the same time.
///
/// Owned by the task that makes the call; small, and without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Hedges {
    may_hedge: bool,
    running: u32,
    /// Attempts that may still start.
    left: u32,
    wait: Option<Duration>,
    next: Option<Instant>,
}

/// What becomes of an attempt's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is the caller's. The other attempts are cancelled.
    Win,
    /// Nothing: other attempts go on, and may do better.
    Wait,
    /// It is the caller's, although it is a bad one: there is no other.
    Last,
}

impl Hedges {
    /// The attempts of a call by `method`, which the caller may have marked as [`Safe`].
    #[must_use]
    pub fn new(policy: &Policy, method: &Method, mark: Option<&Safe>) -> Self {
        let is_for = policy.safety == Safety::Any || mark.is_some() || is_safe(method);
        let may_hedge = is_for && policy.hedges();
        Self { may_hedge, running: 0, left: 0, wait: None, next: None }
    }

    /// Starts the call, and returns how many attempts start at once; at least 1.
    ///
    /// Takes one number from `rng`, if more than one attempt may start.
    #[must_use]
    pub fn begin(
        &mut self,
        policy: &Policy,
        allowance: &Allowance,
        latencies: &Latencies,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> u32 {
        allowance.earn();
        self.running = 1;
        if self.may_hedge {
            let chance = u32::from(policy.additional.decide(rng));
            let most = policy.initial.saturating_add(chance);
            while self.running < most && allowance.spend() {
                self.running += 1;
            }
            self.left = policy.most.saturating_sub(self.running);
            self.wait = policy.wait(latencies);
            self.next = self.due(now);
        }
        self.running
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Returns whether another attempt starts now. Early and repeated calls are harmless.
    ///
    /// Where the allowance is used up none starts, now or later: those under way may end first.
    #[must_use]
    pub fn handle_timeout(&mut self, allowance: &Allowance, now: Instant) -> bool {
        if self.next.is_none_or(|at| now < at) {
            return false;
        }
        if !self.may_hedge || !allowance.spend() {
            (self.left, self.next) = (0, None);
            return false;
        }
        self.running += 1;
        self.left = self.left.saturating_sub(1);
        self.next = self.due(now);
        true
    }

    /// Notes that an attempt has started at `now`, which has as long as any before the next one
    /// starts.
    pub fn started(&mut self, now: Instant) {
        if self.may_hedge {
            self.next = self.due(now);
        }
    }

    /// What becomes of the outcome of one of the attempts.
    #[must_use]
    pub fn after(&mut self, class: Class) -> Next {
        self.running = self.running.saturating_sub(1);
        match class {
            Class::Good => Next::Win,
            Class::Bad if self.running > 0 => Next::Wait,
            Class::Bad => Next::Last,
        }
    }

    /// Whether more than one attempt may be made, so that the request has to be kept.
    #[must_use]
    pub fn may_hedge(&self) -> bool {
        self.may_hedge
    }

    /// Rules out further attempts: the request is not there any more, or was not from the start.
    pub fn commit(&mut self) {
        self.may_hedge = false;
        self.next = None;
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        self.wait.filter(|_| self.left > 0).and_then(|wait| now.checked_add(wait))
    }
}
