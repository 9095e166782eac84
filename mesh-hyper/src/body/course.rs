//! What a call carries that may be sent more than once, or has bounds besides its deadline; out of
//! the way of calls to which none of this applies.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use mesh_core::classify::{Class, Classifier, Outcome};
use mesh_core::cluster::Endpoint;
use mesh_core::hedge::{Delay, Hedges, Safe, Safety, is_safe};
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::retry::{
    Context, Counted, Dialect, Hosts, Next, Permit, Policy, Retries, Start, UnderWay,
};
use mesh_core::route::{Forward, Route};

use super::pace::Pace;
use crate::pool::{Avoid, Hedging, Pool};
use crate::report::Report;
use crate::runtime;
use crate::transport::exchange::Keep;

/// Boxes kept per thread for the next calls.
const SPARE: usize = 64;

thread_local! {
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    static SPARES: RefCell<Vec<Box<Option<Tries>>>> = const { RefCell::new(Vec::new()) };
}

/// A call's attempts and bounds, if it is more than one request and one deadline.
///
/// To other calls this is one pointer. The boxes are used again, so that policies that are not
/// acted on cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Course(Option<Box<Option<Tries>>>);

/// The attempts of a call.
#[derive(Debug)]
pub(crate) struct Tries {
    route: Arc<Route>,
    pub(crate) protocol: Protocol,
    retries: Retries,
    pub(crate) pace: Pace,
    under_way: Option<UnderWay>,
    permit: Option<Permit>,
    /// The endpoints that were asked so far, where that matters.
    tried: Vec<Arc<Endpoint>>,
    hedging: Option<Hedged>,
    start: Instant,
    /// The head of a response is on its way to the caller.
    is_answered: bool,
}

/// How a call is made more than once at a time.
#[derive(Debug)]
struct Hedged {
    hedges: Hedges,
    /// An attempt that has used up its time goes on beside the next one.
    is_soft: bool,
}

impl Course {
    /// The course of the call `head` on `route`.
    #[inline]
    pub(crate) fn new(
        route: &Arc<Route>,
        head: &RequestHead<'_>,
        start: Start,
        mark: Option<&Safe>,
    ) -> Self {
        let Some(forward) = route.forward() else { return Self(None) };
        let is_plain = forward.retry.is_none()
            && forward.hedge.is_none()
            && forward.counted == Counted::Plain
            && forward.counted_in_response == Counted::Plain
            && route.timeouts.idle.is_none()
            && start.asked.conditions.is_empty()
            && start.asked.per_try_timeout.is_none();
        if is_plain {
            return Self(None);
        }
        let hedging = hedged(forward, head, &start, mark);
        Self::planned(route, forward, head, (start, hedging))
    }

    fn planned(
        route: &Arc<Route>,
        forward: &Forward,
        head: &RequestHead<'_>,
        (mut start, hedging): (Start, Option<Hedged>),
    ) -> Self {
        let protocol = head.protocol;
        start.dialect = Dialect::from(protocol);
        let policy = policy(forward);
        let retries = Retries::new(policy, head, start);
        let is_set = |limit: &Duration| !limit.is_zero();
        let now = runtime::now();
        // gRPC knows no such bound (gRFC A31).
        let idle = route.timeouts.idle.filter(|_| protocol == Protocol::Http).filter(is_set);
        let attempt_idle = policy.per_try_idle_timeout.filter(is_set);
        let tries = Tries {
            route: route.clone(),
            protocol,
            retries,
            pace: Pace::new(idle, attempt_idle, now),
            under_way: None,
            permit: None,
            tried: Vec::new(),
            hedging,
            start: now,
            is_answered: false,
        };
        let spare = SPARES.with_borrow_mut(Vec::pop);
        Self(Some(match spare {
            Some(mut spare) => {
                *spare = Some(tries);
                spare
            }
            None => Box::new(Some(tries)),
        }))
    }

    #[inline]
    pub(crate) fn tries(&mut self) -> Option<&mut Tries> {
        self.0.as_deref_mut()?.as_mut()
    }

    /// Whether the call is more than one request and one deadline.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    fn get(&self) -> Option<&Tries> {
        self.0.as_deref()?.as_ref()
    }

    /// Whether the request may have to be sent again because of its outcome.
    #[inline]
    pub(crate) fn may_retry(&self) -> bool {
        self.get().is_some_and(Tries::may_retry)
    }

    /// Whether the request has to be kept until the caller gets its outcome.
    #[inline]
    pub(crate) fn keep(&self) -> Keep {
        let keeps = |tries: &Tries| tries.may_retry() || tries.hedging.is_some();
        if self.get().is_some_and(keeps) { Keep::Outcome } else { Keep::Unprocessed }
    }

    /// The first attempt has started; returns how many there are to be at once.
    #[inline]
    pub(crate) fn begin(&mut self, pool: &Pool) -> u32 {
        self.tries().map_or(1, |tries| tries.begin(pool))
    }

    /// Says in the head of the next attempt how many there were before.
    #[inline]
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        if let Some(tries) = self.get() {
            let counted = tries.route.forward().map(|forward| forward.counted);
            tries.retries.stamp(counted.unwrap_or_default(), headers);
        }
    }

    /// Counts the call among those to `pool`, if it may be sent again.
    #[inline]
    pub(crate) fn enter(&mut self, pool: &Pool) {
        if let Some(tries) = self.tries()
            && tries.under_way.is_none()
            && tries.may_retry()
        {
            tries.under_way = Some(pool.budget().enter());
        }
    }

    /// An attempt starts.
    #[inline]
    pub(crate) fn start(&mut self) {
        if let Some(tries) = self.tries() {
            let now = runtime::now();
            tries.pace.start(tries.retries.attempt_deadline(now), now);
        }
    }

    /// A response goes to the caller whose head this is.
    #[inline]
    pub(crate) fn answered(&mut self, headers: &mut HeaderMap, pool: Option<&Pool>) {
        let Some(tries) = self.tries() else { return };
        if let (Some(_), Some(pool)) = (&tries.hedging, pool) {
            let now = runtime::now();
            let took = now.saturating_duration_since(tries.start);
            pool.hedging().latencies.record(took, now);
        }
        let told = tries.route.forward().map(|forward| forward.counted_in_response);
        if told == Some(Counted::Included) {
            tries.retries.tell(headers);
        }
        if tries.pace.is_timed() {
            tries.is_answered = true;
            tries.pace.saw(runtime::now());
            (tries.under_way, tries.permit) = (None, None);
        } else {
            *self = Self(None);
        }
    }

    /// Which endpoints the next attempt had better not go to.
    pub(crate) fn avoid(&self) -> Option<Avoid<'_>> {
        let tries = self.get().filter(|tries| tries.retries.made() > 0)?;
        let hosts = &tries.policy().hosts;
        (!hosts.is_empty()).then_some(Avoid { hosts, tried: &tries.tried })
    }

    /// The same of an attempt beside others, as values.
    pub(crate) fn elsewhere(&self) -> Option<(Hosts, Vec<Arc<Endpoint>>)> {
        let tries = self.get()?;
        let mut hosts = tries.policy().hosts.clone();
        if tries.hedging.is_some() {
            // An endpoint that is slow for one would be for the other.
            hosts.avoid_previous = true;
            hosts.attempts = hosts.attempts.max(HEDGE_LOOKS);
        }
        (!hosts.is_empty()).then(|| (hosts, tries.tried.clone()))
    }
}

impl Tries {
    fn policy(&self) -> &Policy {
        policy_of(&self.route)
    }

    fn may_retry(&self) -> bool {
        !self.is_answered && self.retries.may_retry()
    }

    /// Notes that the request was sent to `endpoint`.
    pub(crate) fn asked(&mut self, endpoint: &Arc<Endpoint>) {
        if self.hedging.is_some() || policy_of(&self.route).hosts.avoid_previous {
            self.tried.push(endpoint.clone());
        }
    }

    fn begin(&mut self, pool: &Pool) -> u32 {
        let (Some(hedged), Some(forward)) = (&mut self.hedging, self.route.forward()) else {
            return 1;
        };
        let policy = forward.hedge.unwrap_or_default();
        let (shared, now) = (pool.hedging(), self.start);
        let Hedging { allowance, latencies } = shared;
        let hedges = &mut hedged.hedges;
        let attempts =
            runtime::with_rng(|rng| hedges.begin(&policy, allowance, latencies, now, rng));
        self.pace.set_beside(hedges.poll_timeout());
        attempts
    }

    /// When [`one_more`](Self::one_more) is to be asked.
    pub(crate) fn beside_at(&self) -> Option<Instant> {
        self.hedging.as_ref()?.hedges.poll_timeout()
    }

    /// Whether one more attempt starts now beside the others because these take long.
    pub(crate) fn one_more(&mut self, pool: &Pool) -> bool {
        let Some(hedged) = &mut self.hedging else { return false };
        hedged.hedges.handle_timeout(&pool.hedging().allowance, runtime::now())
    }

    /// Whether an attempt goes on that has used up its time.
    pub(crate) fn is_soft(&self) -> bool {
        self.hedging.as_ref().is_some_and(|hedged| hedged.is_soft)
    }

    /// Whether another attempt starts now beside one that has used up its time, as a retry.
    pub(crate) fn beside(&mut self, pool: &Pool, report: Option<&Report>) -> bool {
        let mut context = Context::new(policy_of(&self.route));
        let limit = pool.retry_limit(self.protocol.into());
        context.budget = self.under_way.as_ref().map(UnderWay::budget).zip(limit);
        let next = self.retries.beside(&context, runtime::now());
        self.follow(next, report).is_some()
    }

    /// The place of the retry that has just been decided, for its attempt to hold.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// When an attempt that starts now must have been answered.
    pub(crate) fn attempt_deadline(&self) -> Option<Instant> {
        self.retries.attempt_deadline(runtime::now())
    }

    /// Whether another attempt might do better than `outcome`.
    pub(crate) fn is_bad(&self, outcome: &Outcome<'_>) -> bool {
        if self.retries.has_reasons() {
            return self.retries.is_bad(self.policy(), outcome);
        }
        let classifier = match self.protocol {
            Protocol::Grpc => Classifier::Grpc,
            Protocol::Http | _ => Classifier::Http,
        };
        classifier.class(outcome) == Class::Bad
    }

    /// When to send the request again after `outcome`, if at all.
    ///
    /// `is_there` tells whether it is there to be sent again.
    pub(crate) fn after(
        &mut self,
        pool: &Pool,
        outcome: &Outcome<'_>,
        is_there: bool,
        report: Option<&Report>,
    ) -> Option<Instant> {
        // Its place is free as soon as the attempt has ended.
        self.permit = None;
        if !is_there {
            self.retries.commit();
        }
        let policy = policy_of(&self.route);
        let mut context = Context::new(policy);
        let limit = pool.retry_limit(self.protocol.into());
        context.budget = self.under_way.as_ref().map(UnderWay::budget).zip(limit);
        if policy.rate_limited.is_some() {
            context.wall = runtime::unix();
        }
        let retries = &mut self.retries;
        let next = runtime::with_rng(|rng| retries.after(&context, outcome, runtime::now(), rng));
        self.follow(next, report)
    }

    /// Takes note of what is decided, and tells.
    fn follow(&mut self, next: Next, report: Option<&Report>) -> Option<Instant> {
        let made = self.retries.made();
        match next {
            Next::Again { at, why, permit } => {
                self.permit = permit;
                if let Some(report) = report {
                    report.retried(made, why);
                }
                Some(at)
            }
            Next::Stop(stop) => {
                if let Some(report) = report {
                    report.stopped(stop);
                }
                None
            }
            Next::Commit => None,
        }
    }
}

/// How the call `head` is made more than once at a time, if it may be.
fn hedged(
    forward: &Forward,
    head: &RequestHead<'_>,
    start: &Start,
    mark: Option<&Safe>,
) -> Option<Hedged> {
    let policy = forward.hedge.unwrap_or_default();
    let hedges = Hedges::new(&policy, head.method, mark);
    let is_safe = policy.safety == Safety::Any || mark.is_some() || is_safe(head.method);
    let is_soft = match start.asked.hedge_on_per_try_timeout {
        Some(asked) => asked,
        None => is_safe && policy.delay == Delay::PerTryTimeout,
    };
    (is_soft || hedges.may_hedge()).then_some(Hedged { hedges, is_soft })
}

/// How often another endpoint is looked for, for an attempt beside others.
const HEDGE_LOOKS: u32 = 8;

fn policy_of(route: &Route) -> &Policy {
    route.forward().map_or(&NONE, policy)
}

fn policy(forward: &Forward) -> &Policy {
    forward.retry.as_deref().unwrap_or(&NONE)
}

/// Of a route that says nothing about retries, which callers may still ask for.
static NONE: LazyLock<Policy> = LazyLock::new(Policy::default);

impl Drop for Course {
    #[inline]
    fn drop(&mut self) {
        let Some(mut tries) = self.0.take() else { return };
        // Lets go of the configuration and of what is counted.
        *tries = None;
        // Without effect in a thread that is ending.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(tries);
            }
        });
    }
}
