//! What a call carries that may be sent more than once, or has bounds besides its deadline; out of
//! the way of calls to which none of this applies.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use mesh_core::cluster::{Cluster, Endpoint};
use mesh_core::hedge::Safe;
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::retry::{Counted, Hosts, Limit, Start};
use mesh_core::route::Route;

use super::tries::Tries;
use crate::pool::{Avoid, Pool};
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
        let tries = Tries::new(route, head, start, mark);
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

    /// How the call is spoken, if it may be more than one request and one deadline.
    #[inline]
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.get().map(|tries| tries.protocol)
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

    /// The first attempt has started; returns how many there are to be at once. A request that is
    /// not at hand is made once at a time.
    #[inline]
    pub(crate) fn begin(&mut self, pool: &Pool, is_at_hand: impl FnOnce() -> bool) -> u32 {
        self.tries().map_or(1, |tries| tries.begin(pool, is_at_hand))
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
            let priority = tries.priority();
            let limit = pool.retry_limit(priority, tries.protocol.into());
            let limit = limit.unwrap_or(Limit::AtMost(u32::MAX));
            tries.under_way = Some(tries.retries.enter(pool.budget(priority), limit));
        }
    }

    /// The call is to `cluster`, which is an aggregate if it counts against `counted`, another one.
    #[inline]
    pub(crate) fn count(&mut self, cluster: &Arc<Cluster>, counted: &Arc<Cluster>) {
        if let Some(tries) = self.tries()
            && !Arc::ptr_eq(cluster, counted)
        {
            tries.aggregate = Some(cluster.clone());
        }
    }

    /// The aggregate that the call is to, if it is to one.
    pub(crate) fn aggregate(&self) -> Option<&Arc<Cluster>> {
        self.get()?.aggregate.as_ref()
    }

    /// How long an attempt may take, if an upstream that speaks HTTP is to know.
    #[inline]
    pub(crate) fn told_limit(&self) -> Option<Duration> {
        let tries = self.get().filter(|tries| tries.protocol == Protocol::Http)?;
        tries.retries.attempt_limit().filter(|_| !tries.is_soft())
    }

    /// When an attempt that starts now is given up, if an upstream that speaks HTTP is to know; it
    /// is not later than the end of the call.
    #[inline]
    pub(crate) fn told_until(&self, now: Instant) -> Option<Instant> {
        let tries = self.get().filter(|tries| tries.protocol == Protocol::Http)?;
        tries.retries.attempt_deadline(now).filter(|_| !tries.is_soft())
    }

    /// An attempt starts.
    #[inline]
    pub(crate) fn start(&mut self) {
        if let Some(tries) = self.tries() {
            // The clock is read only if something is bound by it.
            if !tries.is_timed() {
                return tries.pace.start(None, tries.start);
            }
            let now = runtime::now();
            tries.pace.start(tries.retries.attempt_deadline(now), now);
            tries.started(now);
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
        /// How often another endpoint is looked for.
        const LOOKS: u32 = 8;
        let tries = self.get()?;
        let mut hosts = tries.policy().hosts.clone();
        if tries.hedging.is_some() {
            // An endpoint that is slow for one would be for the other.
            hosts.avoid_previous = true;
            hosts.attempts = hosts.attempts.max(LOOKS);
        }
        (!hosts.is_empty()).then(|| (hosts, tries.tried.clone()))
    }
}

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
