use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderName};

use super::asked::Asked;
use super::attempts::{self, Counted};
use super::budget::{Budget, Limit, UnderWay};
use super::conditions::Conditions;
use super::next::{Next, Stop};
use super::policy::{OfRetries, Policy};
use super::spacing::RateLimited;
use super::throttle::Throttle;
use crate::classify::Outcome;
use crate::request::{Protocol, RequestHead};
use crate::rng::Rng;

/// The retries of one call. Small, and without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    dialect: Dialect,
    conditions: Conditions,
    made: u32,
    most: u32,
    /// Those made since the server last said when to come again.
    unasked: u32,
    inherited: u32,
    of_retries: OfRetries,
    deadline: Option<Instant>,
    per_try: Option<Duration>,
    is_committed: bool,
    /// Attempts may run beside each other: none of them has been given up before the next is sent.
    may_run_beside: bool,
}

/// Whose rules are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Envoy's: every condition counts, waits are anything between 0 and a bound.
    #[default]
    Envoy,
    /// gRPC's (gRFC A6, A44): only status codes count, which failures have too; waits are doubled;
    /// the server's `grpc-retry-pushback-ms` is obeyed; five attempts at the most.
    ///
    /// Where a call has no deadline, a server that says to wait for more than five minutes gets no
    /// retry ([`Stop::Pushback`]): nothing else would bound how long it holds the call and its body.
    Grpc,
}

impl From<Protocol> for Dialect {
    /// gRPC's for gRPC, Envoy's for everything else.
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Grpc => Self::Grpc,
            Protocol::Http => Self::Envoy,
        }
    }
}

/// What is known of a call at its start, besides its head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Whose rules are followed.
    pub dialect: Dialect,
    /// What the caller asks for, if its word counts.
    pub asked: Asked,
    /// When the whole call must have ended.
    pub deadline: Option<Instant>,
    /// How often the request was sent before for whose sake this call is made; 0 for a first
    /// attempt, or where there is none ([`Inherited::retries`]). See [`OfRetries`].
    ///
    /// [`Inherited::retries`]: crate::inherited::Inherited::retries
    pub inherited: u32,
}

/// What a decision about retries goes by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'a> {
    /// The policy that [`Retries::new`] was given.
    pub policy: &'a Policy,
    /// What bounds the retries of all calls together. Default: nothing does.
    pub budget: Option<(&'a Arc<Budget>, Limit)>,
    /// What stops them while too many calls fail. Default: nothing does.
    pub throttle: Option<&'a Throttle>,
    /// The date and time, in seconds since 1970, for servers that name one. Default: 0, at which
    /// such servers are not understood.
    pub wall: u64,
}

impl<'a> Context<'a> {
    /// A context of nothing but the policy.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, budget: None, throttle: None, wall: 0 }
    }

    /// The same with a budget.
    #[must_use]
    pub fn budget(mut self, budget: &'a Arc<Budget>, limit: Limit) -> Self {
        self.budget = Some((budget, limit));
        self
    }
}

impl Retries {
    /// The retries of the call `head`.
    #[must_use]
    pub fn new(policy: &Policy, head: &RequestHead<'_>, start: Start) -> Self {
        let asked = start.asked;
        let wanted = policy.conditions | asked.conditions;
        let wanted = match start.dialect {
            Dialect::Envoy => policy.methods.restrict(wanted, head.method),
            Dialect::Grpc => wanted.of_grpc(),
        };
        let is_for = !wanted.is_empty() && policy.is_for(head);
        let most = asked.num_retries.or(policy.num_retries).unwrap_or(1);
        Self {
            dialect: start.dialect,
            conditions: if is_for { wanted } else { Conditions::NONE },
            made: 0,
            most: match start.dialect {
                Dialect::Envoy => most,
                Dialect::Grpc => most.min(MAX_GRPC_ATTEMPTS - 1),
            },
            unasked: 0,
            inherited: match policy.of_retries {
                OfRetries::Retry => 0,
                OfRetries::Once => start.inherited,
            },
            of_retries: policy.of_retries,
            deadline: start.deadline,
            per_try: asked
                .per_try_timeout
                .or(policy.per_try_timeout)
                .filter(|limit| !limit.is_zero()),
            is_committed: false,
            may_run_beside: start.dialect == Dialect::Grpc || policy.methods.has(head.method),
        }
    }

    /// Counts the call in `budget`, from now until what is returned is dropped.
    #[must_use]
    pub fn enter(&self, budget: &Arc<Budget>, limit: Limit) -> UnderWay {
        match self.inherited {
            0 => budget.enter(limit),
            _ => budget.enter_again(limit),
        }
    }

    /// What follows from `outcome`, that of the last attempt.
    ///
    /// Takes one number from `rng` where the request would be sent again as far as the call itself
    /// is concerned, and none otherwise or where the server says exactly when.
    ///
    /// To the throttle a response is a success whose status is not known yet: gRPC's is in the
    /// trailers then, and too late for a retry.
    pub fn after(
        &mut self,
        context: &Context<'_>,
        outcome: &Outcome<'_>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Next {
        let Some(why) = self.reason(context.policy, outcome) else {
            if let (Outcome::Answer(_), Some(throttle)) = (outcome, context.throttle) {
                throttle.succeeded();
            }
            return Next::Commit;
        };
        let pushback = match (self.dialect, outcome) {
            (Dialect::Grpc, Outcome::Answer(answer)) => self.pushback(answer.headers),
            (Dialect::Grpc | Dialect::Envoy, _) => Pushback::None,
        };
        // Every failure counts, also of calls that are not sent again for another reason.
        let is_throttled = context.throttle.is_some_and(|throttle| !throttle.failed());
        if let Some(stop) = self.obstacle(pushback, is_throttled) {
            return Next::Stop(stop);
        }
        let wait = match pushback {
            Pushback::After(wait) => wait,
            Pushback::None | Pushback::Never => self.wait(context, outcome, rng),
        };
        let unasked = match pushback {
            Pushback::After(_) => 0,
            Pushback::None | Pushback::Never => self.unasked + 1,
        };
        let next = self.again(context, why, now.checked_add(wait), now);
        if matches!(next, Next::Again { .. }) {
            self.unasked = unasked;
        }
        next
    }

    /// Whether another attempt starts at once beside the last, which has taken its time (Envoy's
    /// `hedge_on_per_try_timeout`). It is one of the retries.
    pub fn beside(&mut self, context: &Context<'_>, now: Instant) -> Next {
        if self.conditions.is_empty() || !self.may_run_beside {
            return Next::Commit;
        }
        let is_throttled = context.throttle.is_some_and(|throttle| !throttle.allows());
        match self.obstacle(Pushback::None, is_throttled) {
            Some(stop) => Next::Stop(stop),
            None => self.again(context, Conditions::RESET, Some(now), now),
        }
    }

    /// Rules out retries from now on: the response is on its way to the caller, or the body cannot
    /// be sent once more.
    pub fn commit(&mut self) {
        self.is_committed = true;
    }

    /// Whether the request may have to be sent again, so that it has to be kept.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        !self.is_committed
            && self.made < self.most
            && self.inherited == 0
            && !self.conditions.is_empty()
    }

    /// Whether the call matters to a budget: it may be sent again, or it may not because it is made
    /// for a request that was.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.may_retry() || (self.inherited > 0 && !self.conditions.is_empty())
    }

    /// Whether there is any outcome that calls for a retry.
    #[must_use]
    pub fn has_reasons(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether `outcome` calls for a retry, allowed or not.
    #[must_use]
    pub fn is_bad(&self, policy: &Policy, outcome: &Outcome<'_>) -> bool {
        self.reason(policy, outcome).is_some()
    }

    /// Retries so far.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// How long one attempt may take; `None` is for as long as the call.
    #[must_use]
    pub fn attempt_limit(&self) -> Option<Duration> {
        self.per_try
    }

    /// When an attempt that starts now must have ended; `None` is never.
    #[must_use]
    pub fn attempt_deadline(&self, now: Instant) -> Option<Instant> {
        let own = self.per_try.and_then(|limit| now.checked_add(limit));
        [own, self.deadline].into_iter().flatten().min()
    }

    /// Says in the head of the next attempt how many there were before.
    ///
    /// Where retries of retries are ruled out, retries are counted whatever `counted` says, and those
    /// of the request that this call is made for count too, so that the services further on know.
    pub fn stamp(&self, counted: Counted, headers: &mut HeaderMap) {
        let previous = self.made.saturating_add(self.inherited);
        match (self.dialect, counted) {
            (Dialect::Grpc, Counted::Plain) => attempts::say_grpc(headers, previous),
            (Dialect::Grpc, Counted::Included) => {
                attempts::say_grpc(headers, previous);
                attempts::say_http(headers, previous);
            }
            (Dialect::Envoy, Counted::Included) => attempts::say_http(headers, previous),
            (Dialect::Envoy, Counted::Plain) => {
                if self.of_retries == OfRetries::Once && previous > 0 {
                    attempts::say_http(headers, previous);
                }
            }
        }
    }

    /// Says in the head of a response how often the request was sent.
    pub fn tell(&self, headers: &mut HeaderMap) {
        attempts::say_http(headers, self.made);
    }

    fn reason(&self, policy: &Policy, outcome: &Outcome<'_>) -> Option<Conditions> {
        if self.conditions.is_empty() {
            return None;
        }
        match self.dialect {
            Dialect::Envoy => policy.envoy(self.conditions, outcome),
            Dialect::Grpc => grpc(self.conditions, outcome),
        }
    }

    fn pushback(&self, headers: &HeaderMap) -> Pushback {
        match pushback(headers) {
            Pushback::After(wait) if wait > MAX_PUSHBACK && self.deadline.is_none() => {
                Pushback::Never
            }
            said @ (Pushback::None | Pushback::After(_) | Pushback::Never) => said,
        }
    }

    /// What keeps a request from being sent again, besides the time and the budget.
    fn obstacle(&self, pushback: Pushback, is_throttled: bool) -> Option<Stop> {
        if self.is_committed {
            Some(Stop::Committed)
        } else if pushback == Pushback::Never {
            Some(Stop::Pushback)
        } else if is_throttled {
            Some(Stop::Throttled)
        } else if self.inherited > 0 {
            Some(Stop::Inherited)
        } else {
            (self.made >= self.most).then_some(Stop::Attempts)
        }
    }

    fn wait(&self, context: &Context<'_>, outcome: &Outcome<'_>, rng: &mut dyn Rng) -> Duration {
        let spacing = &context.policy.spacing;
        let retry = self.unasked + 1;
        match (self.dialect, &context.policy.rate_limited, outcome) {
            (Dialect::Grpc, ..) => spacing.doubled(retry, rng),
            (Dialect::Envoy, Some(limited), Outcome::Answer(answer)) => limited
                .wait(answer.headers, context.wall, rng)
                .unwrap_or_else(|| spacing.uniform(retry, rng)),
            (Dialect::Envoy, ..) => spacing.uniform(retry, rng),
        }
    }

    /// Sends again at `at`, if that is in time and the budget allows.
    fn again(
        &mut self,
        context: &Context<'_>,
        why: Conditions,
        at: Option<Instant>,
        now: Instant,
    ) -> Next {
        let in_time = at.filter(|at| self.deadline.is_none_or(|deadline| *at < deadline));
        let Some(at) = in_time else { return Next::Stop(Stop::Deadline) };
        let permit = match context.budget {
            Some((budget, limit)) => match budget.admit(limit, now) {
                Some(permit) => Some(permit),
                None => return Next::Stop(Stop::Budget),
            },
            None => None,
        };
        self.made += 1;
        Next::Again { at, why, permit }
    }
}

/// The reason among `wanted` to send again after `outcome`, as in gRPC.
fn grpc(wanted: Conditions, outcome: &Outcome<'_>) -> Option<Conditions> {
    // Calls that a limit of our own or the control plane turns away stay away (gRFC A32).
    if matches!(outcome, Outcome::Failed(crate::classify::Failure::Overflow)) {
        return None;
    }
    wanted.first(&[Conditions::grpc(outcome.grpc_code()?)])
}

/// What a server says about when to come again (gRFC A6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushback {
    None,
    After(Duration),
    /// It is negative, not a 32-bit number, or too long.
    Never,
}

fn pushback(headers: &HeaderMap) -> Pushback {
    let Some(value) = headers.get(PUSHBACK) else { return Pushback::None };
    let millis = value.to_str().ok().and_then(|text| text.parse::<i32>().ok());
    let millis = millis.and_then(|millis| u64::try_from(millis).ok());
    millis.map_or(Pushback::Never, |millis| Pushback::After(Duration::from_millis(millis)))
}

/// The longest pushback of a call without a deadline: what Envoy takes at the most from a server that
/// names a wait, by default.
const MAX_PUSHBACK: Duration = RateLimited::MAX;

const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// gRFC A6: "`maxAttempts` … values greater than 5 are treated as 5".
const MAX_GRPC_ATTEMPTS: u32 = 5;
