//! The attempts of a call, as its policies decide about them.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mesh_core::classify::{Class, Classifier, Outcome};
use mesh_core::cluster::{Cluster, Endpoint};
use mesh_core::hedge::{self, Delay, Hedges, Safe, Safety, is_safe};
use mesh_core::request::{Protocol, RequestHead, RoutingPriority};
use mesh_core::retry::{Context, Dialect, Next, Permit, Policy, Retries, Start, UnderWay};
use mesh_core::route::Route;

use super::pace::Pace;
use crate::pool::{Hedging, Pool};
use crate::report::Report;
use crate::runtime;

/// The attempts of a call.
#[derive(Debug)]
pub(crate) struct Tries {
    pub(super) route: Arc<Route>,
    pub(crate) protocol: Protocol,
    pub(super) retries: Retries,
    pub(crate) pace: Pace,
    /// The aggregate that the call is to, which counts against a leaf: it is kept for the attempts to
    /// come.
    pub(super) aggregate: Option<Arc<Cluster>>,
    pub(super) under_way: Option<UnderWay>,
    pub(super) permit: Option<Permit>,
    /// The endpoints that were asked so far, where that matters.
    pub(super) tried: Vec<Arc<Endpoint>>,
    pub(super) hedging: Option<Hedged>,
    pub(super) start: Instant,
    /// The head of a response is on its way to the caller.
    pub(super) is_answered: bool,
}

/// How a call is made more than once at a time.
#[derive(Debug)]
pub(super) struct Hedged {
    hedges: Hedges,
    /// An attempt that has used up its time goes on beside the next one.
    is_soft: bool,
}

impl Tries {
    /// The attempts of the call `head` on `route`, which the caller may have marked.
    pub(super) fn new(
        route: &Arc<Route>,
        head: &RequestHead<'_>,
        mut start: Start,
        mark: Option<&Safe>,
    ) -> Self {
        let protocol = head.protocol;
        start.dialect = Dialect::from(protocol);
        let policy = policy_of(route);
        let is_set = |limit: &Duration| !limit.is_zero();
        let now = runtime::now();
        // gRPC knows no such bound (gRFC A31).
        let idle = route.timeouts.idle.filter(|_| protocol == Protocol::Http).filter(is_set);
        let attempt_idle = policy.per_try_idle_timeout.filter(is_set);
        Self {
            route: route.clone(),
            protocol,
            retries: Retries::new(policy, head, start),
            pace: Pace::new(idle, attempt_idle, now),
            aggregate: None,
            under_way: None,
            permit: None,
            tried: Vec::new(),
            hedging: hedged(route, head, &start, mark),
            start: now,
            is_answered: false,
        }
    }

    /// Which limits the call counts against; gRPC calls have no other (gRFC A32).
    pub(super) fn priority(&self) -> RoutingPriority {
        match (self.protocol, self.route.forward()) {
            (Protocol::Http, Some(forward)) => forward.priority,
            (Protocol::Http | Protocol::Grpc | _, _) => RoutingPriority::Default,
        }
    }

    pub(super) fn policy(&self) -> &Policy {
        policy_of(&self.route)
    }

    pub(super) fn may_retry(&self) -> bool {
        !self.is_answered && self.retries.may_retry()
    }

    /// Whether it matters when an attempt starts.
    pub(super) fn is_timed(&self) -> bool {
        self.hedging.is_some() || self.pace.is_timed() || self.retries.attempt_limit().is_some()
    }

    /// Notes that the request was sent to `endpoint`.
    pub(crate) fn asked(&mut self, endpoint: &Arc<Endpoint>) {
        if self.hedging.is_some() || policy_of(&self.route).hosts.looks_back() {
            self.tried.push(endpoint.clone());
        }
    }

    pub(super) fn begin(&mut self, pool: &Pool, is_at_hand: impl FnOnce() -> bool) -> u32 {
        let Some(hedged) = &mut self.hedging else { return 1 };
        let policy = hedging_of(&self.route);
        let (shared, now) = (pool.hedging(), runtime::now());
        let Hedging { allowance, latencies } = shared;
        let hedges = &mut hedged.hedges;
        if !is_at_hand() {
            hedges.commit();
        }
        let attempts =
            runtime::with_rng(|rng| hedges.begin(&policy, allowance, latencies, now, rng));
        self.pace.set_beside(hedges.poll_timeout());
        attempts
    }

    /// An attempt has started: others start beside it later, if they do.
    pub(crate) fn started(&mut self, now: Instant) {
        if let Some(hedged) = &mut self.hedging {
            hedged.hedges.started(now);
            self.pace.set_beside(hedged.hedges.poll_timeout());
        }
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
        let limit = pool.retry_limit(self.priority(), self.protocol.into());
        context.budget = self.under_way.as_ref().map(UnderWay::budget).zip(limit);
        let next = self.retries.beside(&context, runtime::now());
        self.follow(next, report).is_some()
    }

    /// The place of the retry that has just been decided, for its attempt to hold.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// When an attempt beside others that starts at `now` is over if it is not answered.
    pub(crate) fn attempt_end(&self, now: Instant) -> Option<Instant> {
        self.pace.end_of(self.retries.attempt_deadline(now), now)
    }

    /// Whether another attempt might do better than `outcome`.
    pub(crate) fn is_bad(&self, outcome: &Outcome<'_>) -> bool {
        if self.retries.has_reasons() {
            return self.is_reason(outcome);
        }
        let classifier = match self.protocol {
            Protocol::Grpc => Classifier::Grpc,
            Protocol::Http | _ => Classifier::Http,
        };
        classifier.class(outcome) == Class::Bad
    }

    /// Whether `outcome` calls for a retry, allowed or not.
    pub(crate) fn is_reason(&self, outcome: &Outcome<'_>) -> bool {
        self.retries.is_bad(self.policy(), outcome)
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
        let limit = pool.retry_limit(self.priority(), self.protocol.into());
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
    route: &Route,
    head: &RequestHead<'_>,
    start: &Start,
    mark: Option<&Safe>,
) -> Option<Hedged> {
    let policy = hedging_of(route);
    let hedges = Hedges::new(&policy, head.method, mark);
    let is_safe = policy.safety == Safety::Any || mark.is_some() || is_safe(head.method);
    let is_soft = match start.asked.hedge_on_per_try_timeout {
        Some(asked) => asked,
        None => is_safe && policy.delay == Delay::PerTryTimeout,
    };
    (is_soft || hedges.may_hedge()).then_some(Hedged { hedges, is_soft })
}

fn policy_of(route: &Route) -> &Policy {
    let own = route.forward().and_then(|forward| forward.retry.as_deref());
    own.unwrap_or(&NONE)
}

fn hedging_of(route: &Route) -> hedge::Policy {
    route.forward().and_then(|forward| forward.hedge).unwrap_or_default()
}

/// Of a route that says nothing about retries, which callers may still ask for.
static NONE: LazyLock<Policy> = LazyLock::new(Policy::default);
