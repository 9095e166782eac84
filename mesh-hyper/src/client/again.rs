//! A call after its first attempt: the request is sent again until the caller gets an outcome.
//!
//! That no peer has looked at it costs no retry, but is not endured without end; all else is
//! decided by the route's policy.

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::Authority;
use http::{HeaderMap, Request};
use mesh_core::classify::Failure;
use mesh_core::cluster::{Cluster, Permit};
use mesh_core::inherited;
use mesh_core::request::{Protocol, RoutingPriority};

use super::attempt::{self, Next, SendAgain, Why, answered, fail};
use super::race;
use super::slow::{Outcome, before};
use super::target::Inner;
use crate::body::{Guard, Late};
use crate::error::{Error, Kind};
use crate::pool::{Draw, Pool, Want};
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::exchange::{self, Started, Unprocessed, Way};

/// How often a request is sent again at the most because no peer has looked at it. Peers that go
/// away one after the other are broken, and the caller should know.
const MAX_AGAIN: u32 = 64;

/// How often of these after a refusal: it comes from a peer that may have too much to do already, so
/// that all others are the policy's to decide (gRFC A6).
const MAX_REFUSED: u32 = 1;

/// On what terms all attempts of a call are made.
pub(super) struct Terms {
    /// Where the request goes by its own word.
    pub(super) authority: Option<Authority>,
    /// Whether it waits for streams although nothing can be reached at present.
    pub(super) patient: bool,
    pub(super) returns: Returns,
}

impl Terms {
    /// Those of a call that has been sent for the first time.
    pub(super) fn new(authority: Option<Authority>, patient: bool) -> Self {
        Self { authority, patient, returns: Returns::default() }
    }
}

/// How often a request has come back unprocessed.
#[derive(Default)]
pub(super) struct Returns {
    all: u32,
    refused: u32,
}

impl Returns {
    /// Counts one more; whether that is too many.
    pub(super) fn are_too_many(&mut self, why: Unprocessed) -> bool {
        self.all += 1;
        self.refused += u32::from(why == Unprocessed::Refused);
        self.all > MAX_AGAIN || self.refused > MAX_REFUSED
    }
}

/// Sends a request again, for as often as it takes.
pub(super) async fn run(mut guard: Guard, mut terms: Terms, mut again: SendAgain) -> Outcome {
    let Some(home) = Home::of(&guard) else {
        return fail(guard, Error::new(Kind::Transport, "the request was given back"));
    };
    let Home { pool, target, .. } = &home;
    let to = terms.authority.as_ref().unwrap_or(&target.authority).clone();
    let patient = terms.patient;
    loop {
        if let (Why::Unprocessed(Unprocessed::Refused), Some(stream), Some(tries)) =
            (&again.why, &guard.stream, guard.course.tries())
        {
            tries.asked(&stream.0.endpoint);
        }
        let at = match again.why {
            Why::Policy(at) => Some(at),
            Why::Unprocessed(why) if terms.returns.are_too_many(why) => {
                let (course, report) = (&mut guard.course, guard.report.as_deref());
                match attempt::unsent(course, pool, Failure::Refused, report) {
                    Some(at) => {
                        terms.returns.all = 0;
                        Some(at)
                    }
                    None => return fail(guard, given_up(target, why)),
                }
            }
            Why::Unprocessed(_) => None,
        };
        let (deadline, late) = bound(&mut guard);
        let request = match before(deadline, again.request.into_request()).await {
            Some(Some(request)) => request,
            Some(None) => return fail(guard, again.error),
            None => return over(guard, late),
        };
        guard.end_attempt();
        if let Some(at) = at
            && before(deadline, runtime::sleep_until(at)).await.is_none()
        {
            return over(guard, late);
        }
        let stream = loop {
            let avoid = guard.course.avoid();
            let pending = home.pending(&guard, request.headers());
            let want = Want { deadline, patient, draw: Draw::Done, avoid, pending };
            let error = match pool.wait(want).await {
                Ok(stream) => break stream,
                Err(error) => error,
            };
            let (course, report) = (&mut guard.course, guard.report.as_deref());
            match attempt::without_stream(course, pool, &error, report) {
                Some(at) if before(deadline, runtime::sleep_until(at)).await.is_some() => {}
                Some(_) => return over(guard, late),
                None => return fail(guard, error),
            }
        };
        guard.permit = match home.admit(&stream) {
            Ok(permit) => Some(permit),
            Err(error) => return fail(guard, error),
        };
        let request = told(request, &guard);
        let way = Way { stream: &stream, authority: &to, keep: guard.course.keep() };
        let Started { mut exchange, pump } = match exchange::restart(way, request) {
            Ok(started) => started,
            Err(error) => return fail(guard, error),
        };
        guard.start(stream, pump);
        guard.attempts = guard.attempts.saturating_add(1);
        again = loop {
            let ended = poll_fn(|cx| attempt::poll(&mut exchange, &mut guard, cx)).await;
            match attempt::next(&mut exchange, &mut guard, ended) {
                Next::Answer(response) => return Ok(answered(guard, response)),
                Next::Fail(error) => {
                    // It goes before what it is on.
                    drop(exchange);
                    return fail(guard, error);
                }
                Next::Race(spur) => {
                    return race::run(guard, exchange, terms, spur).await;
                }
                Next::GoOn => {}
                Next::Again(next) => break next,
            }
        };
        drop(exchange);
    }
}

/// Where a call is at home whose attempt is under way.
pub(super) struct Home {
    pub(super) pool: Arc<Pool>,
    pub(super) target: Arc<Inner>,
    cluster: Arc<Cluster>,
    priority: RoutingPriority,
}

impl Home {
    pub(super) fn of(guard: &Guard) -> Option<Self> {
        let pool = guard.stream.as_ref()?.0.signals.owner::<Pool>()?;
        let owner: Arc<dyn Any + Send + Sync> = guard.owner.clone()?;
        let permit = guard.permit.as_ref()?;
        let cluster = guard.course.aggregate().unwrap_or(permit.cluster()).clone();
        Some(Self { pool, target: owner.downcast().ok()?, cluster, priority: permit.priority() })
    }

    /// Whose limit on waiting requests holds for another attempt with these `headers`; gRPC calls
    /// have none (gRFC A32).
    pub(super) fn pending(&self, guard: &Guard, headers: &HeaderMap) -> Option<RoutingPriority> {
        let protocol = guard.course.protocol().unwrap_or_else(|| Protocol::of(headers));
        (protocol != Protocol::Grpc).then_some(self.priority)
    }

    /// The place of another attempt, on `stream`, among the requests under way.
    pub(super) fn admit(&self, stream: &Stream) -> Result<Permit, Error> {
        self.pool.admit(&self.cluster, self.priority, stream)
    }
}

/// Until when the call may go on, and what is over then.
pub(super) fn bound(guard: &mut Guard) -> (Option<Instant>, Late) {
    let deadline = guard.timer.deadline();
    let silent = guard.course.tries().and_then(|tries| tries.pace.silent_at());
    match (deadline, silent) {
        (Some(deadline), Some(silent)) if silent < deadline => (Some(silent), Late::Idle),
        (None, Some(silent)) => (Some(silent), Late::Idle),
        (deadline, _) => (deadline, Late::Deadline),
    }
}

/// The request with what it says of earlier attempts, and of the time that is left.
pub(super) fn told<B>(mut request: Request<B>, guard: &Guard) -> Request<B> {
    guard.course.stamp(request.headers_mut());
    let now = runtime::now();
    if let Some(until) = guard.course.told_until(now).or(guard.timer.deadline()) {
        shorten(request.headers_mut(), until.saturating_duration_since(now));
    }
    request
}

/// Says in a request that [`told`] the time that there is no more of it than until `deadline`.
pub(super) fn hurry(headers: &mut HeaderMap, deadline: Instant) {
    shorten(headers, deadline.saturating_duration_since(runtime::now()));
}

fn shorten(headers: &mut HeaderMap, left: Duration) {
    let _ = inherited::shorten(headers, Protocol::of(headers), left);
}

pub(super) fn given_up(target: &Inner, why: Unprocessed) -> Error {
    let name = &target.name;
    let error = format!("{name}: the peers gave the request back too often, the last one: {why}");
    Error::new(Kind::Transport, error)
}

pub(super) fn over(guard: Guard, late: Late) -> Outcome {
    let late = guard.late(late, "before the answer of");
    fail(guard, late)
}
