//! What a call carries that may be sent more than once, or has bounds besides its deadline; out of
//! the way of calls to which none of this applies.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use http::HeaderMap;
use mesh_core::classify::Outcome;
use mesh_core::cluster::Endpoint;
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::retry::{
    Context, Counted, Dialect, Limit, Next, Permit, Policy, Retries, Start, UnderWay,
};
use mesh_core::route::{Forward, Route};

use super::pace::Pace;
use crate::pool::{Avoid, Pool};
use crate::report::Report;
use crate::runtime;

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
    /// The head of a response is on its way to the caller.
    is_answered: bool,
}

impl Course {
    /// The course of the call `head` on `route`.
    #[inline]
    pub(crate) fn new(route: &Arc<Route>, head: &RequestHead<'_>, start: Start) -> Self {
        let Some(forward) = route.forward() else { return Self(None) };
        let is_plain = forward.retry.is_none()
            && forward.counted == Counted::Plain
            && forward.counted_in_response == Counted::Plain
            && route.timeouts.idle.is_none()
            && start.asked.conditions.is_empty()
            && start.asked.per_try_timeout.is_none();
        if is_plain { Self(None) } else { Self::planned(route, forward, head, start) }
    }

    fn planned(
        route: &Arc<Route>,
        forward: &Forward,
        head: &RequestHead<'_>,
        mut start: Start,
    ) -> Self {
        let protocol = head.protocol;
        start.dialect = Dialect::from(protocol);
        let policy = policy(forward);
        let retries = Retries::new(policy, head, start);
        let is_set = |limit: &std::time::Duration| !limit.is_zero();
        // gRPC knows no such bound (gRFC A31).
        let idle = route.timeouts.idle.filter(|_| protocol == Protocol::Http).filter(is_set);
        let attempt_idle = policy.per_try_idle_timeout.filter(is_set);
        let tries = Tries {
            route: route.clone(),
            protocol,
            retries,
            pace: Pace::new(idle, attempt_idle, runtime::now()),
            under_way: None,
            permit: None,
            tried: Vec::new(),
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

    #[inline]
    fn get(&self) -> Option<&Tries> {
        self.0.as_deref()?.as_ref()
    }

    /// Whether the request may have to be sent again because of its outcome.
    #[inline]
    pub(crate) fn may_retry(&self) -> bool {
        self.get().is_some_and(Tries::may_retry)
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
            && tries.retries.is_counted()
        {
            let limit = pool.retry_limit(tries.protocol.into());
            let limit = limit.unwrap_or(Limit::AtMost(u32::MAX));
            tries.under_way = Some(tries.retries.enter(pool.budget(), limit));
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
    pub(crate) fn answered(&mut self, headers: &mut HeaderMap) {
        let Some(tries) = self.tries() else { return };
        let told = tries.route.forward().map(|forward| forward.counted_in_response);
        if told == Some(Counted::Included) {
            tries.retries.tell(headers);
        }
        if tries.pace.is_timed() {
            tries.is_answered = true;
            tries.pace.answered();
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
        if policy_of(&self.route).hosts.avoid_previous {
            self.tried.push(endpoint.clone());
        }
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
