//! One attempt: what it comes to, and what follows.

use std::task::{Context, Poll};
use std::time::Instant;

use http::Response;
use mesh_core::classify::{Failure, Outcome};
use mesh_core::filter::End;
use mesh_core::request::Protocol;

use crate::body::{Course, Guard, Late, ResponseBody, Slices};
use crate::error::{Error, Kind};
use crate::pool::Pool;
use crate::report::Report;
use crate::transport::exchange::{Broken, Exchange, Returned, Unprocessed};
use crate::transport::recv::Source;
use crate::transport::replay::Again;

/// What an attempt has come to.
pub(super) enum Ended {
    Done(Result<Response<Source>, Broken>),
    Late(Late),
}

/// What follows from that.
pub(super) enum Next {
    /// The response is the caller's.
    Answer(Response<Source>),
    /// So is the failure.
    Fail(Error),
    /// The request is sent again.
    Again(SendAgain),
    /// The attempt goes on, and others start beside it.
    Race(Spur),
    /// The attempt goes on.
    GoOn,
}

/// Why attempts start beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spur {
    /// So many are to start at once, the first one included.
    Start(u32),
    /// It has used up its time.
    Soft,
    /// It has been alone for long enough.
    Alone,
}

/// A request that is sent again.
pub(super) struct SendAgain {
    pub(super) request: Again,
    pub(super) why: Why,
    /// What the caller is told if the request cannot be had back.
    pub(super) error: Error,
}

/// Why a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No peer has looked at it.
    Unprocessed(Unprocessed),
    /// The policy says so, at this time.
    Policy(Instant),
}

/// What the attempt on the guard's stream has come to.
#[inline]
pub(super) fn poll(
    exchange: &mut Exchange,
    guard: &mut Guard,
    cx: &mut Context<'_>,
) -> Poll<Ended> {
    let Some(stream) = &guard.stream else { return Poll::Pending };
    match exchange.poll(stream, guard.pump.as_deref_mut(), cx) {
        Poll::Ready(done) => Poll::Ready(Ended::Done(done)),
        Poll::Pending => {
            guard.poll_late(cx).map_or(Poll::Pending, |late| Poll::Ready(Ended::Late(late)))
        }
    }
}

/// What follows from what it has come to.
#[inline]
pub(super) fn next(exchange: &mut Exchange, guard: &mut Guard, ended: Ended) -> Next {
    if let Ended::Late(late @ (Late::Attempt | Late::Alone)) = ended
        && let Some(tries) = guard.course.tries()
        && (late == Late::Alone || tries.is_soft())
    {
        if late == Late::Alone {
            tries.pace.set_beside(None);
        } else {
            tries.pace.let_go();
        }
        return match (exchange.is_at_hand(), late) {
            // It cannot be sent a second time while it is being sent.
            (false, _) => Next::GoOn,
            (true, Late::Alone) => Next::Race(Spur::Alone),
            (true, _) => Next::Race(Spur::Soft),
        };
    }
    if guard.course.may_retry() {
        return weighed(exchange, guard, ended);
    }
    match ended {
        Ended::Done(Ok(response)) => Next::Answer(response),
        Ended::Done(Err(Broken::Failed(error))) => Next::Fail(error),
        Ended::Done(Err(Broken::Unprocessed(returned))) => Next::Again(returned.into()),
        Ended::Late(late) => Next::Fail(guard.late(late, "before the answer of")),
    }
}

/// The same of a call that may be sent again.
fn weighed(exchange: &mut Exchange, guard: &mut Guard, ended: Ended) -> Next {
    let (at, last) = match ended {
        Ended::Done(Ok(response)) => {
            let outcome = Outcome::answer(response.status(), response.headers());
            (after(exchange, guard, &outcome), Next::Answer(response))
        }
        Ended::Done(Err(Broken::Failed(error))) => {
            let error = guard.cause(error);
            // A body that has failed would do so again.
            let at = if error.kind() == Kind::Body {
                None
            } else {
                after(exchange, guard, &Outcome::Failed(Failure::Reset))
            };
            (at, Next::Fail(error))
        }
        Ended::Done(Err(Broken::Unprocessed(returned))) => return Next::Again(returned.into()),
        Ended::Late(late) => {
            let at = match late {
                Late::Attempt => after(exchange, guard, &Outcome::Failed(Failure::TimedOut)),
                Late::Deadline | Late::Idle | Late::Alone => None,
            };
            (at, Next::Fail(guard.late(late, "before the answer of")))
        }
    };
    let again = at.and_then(|at| Some((at, exchange.again(guard.pump.as_deref_mut())?)));
    match again {
        Some((at, request)) => {
            let error = if let Next::Fail(error) = last {
                error
            } else {
                Error::new(Kind::Transport, "the request was not kept to be sent again")
            };
            Next::Again(SendAgain { request, why: Why::Policy(at), error })
        }
        None => last,
    }
}

fn after(exchange: &Exchange, guard: &mut Guard, outcome: &Outcome<'_>) -> Option<Instant> {
    let tries = guard.course.tries().filter(|tries| tries.is_reason(outcome))?;
    let stream = guard.stream.as_ref()?;
    let pool = stream.0.signals.owner::<Pool>()?;
    let is_kept = exchange.is_kept(guard.pump.as_deref());
    let at = tries.after(&pool, outcome, is_kept, guard.report.as_deref())?;
    tries.asked(&stream.0.endpoint);
    Some(at)
}

/// When a call asks for a stream again that could not be had because of `error`, if at all.
pub(super) fn without_stream(
    course: &mut Course,
    pool: &Pool,
    error: &Error,
    report: Option<&Report>,
) -> Option<Instant> {
    is_connect(course, pool, error).then(|| unsent(course, pool, Failure::Connect, report))?
}

/// Whether a stream could not be had because nobody can be connected to. Where there is nobody, Envoy
/// does not look again; gRPC's attempts fail as all others.
pub(super) fn is_connect(course: &Course, pool: &Pool, error: &Error) -> bool {
    let is_vain = || pool.has_nobody() && course.protocol() != Some(Protocol::Grpc);
    error.kind() == Kind::NoEndpoint && !is_vain()
}

/// When a call that may be sent again is, after a `failure` at which nothing of it has got lost.
pub(super) fn unsent(
    course: &mut Course,
    pool: &Pool,
    failure: Failure,
    report: Option<&Report>,
) -> Option<Instant> {
    if !course.may_retry() {
        return None;
    }
    course.tries()?.after(pool, &Outcome::Failed(failure), true, report)
}

impl From<Returned> for SendAgain {
    fn from(returned: Returned) -> Self {
        let Returned { error, why, again } = returned;
        Self { request: again, why: Why::Unprocessed(why), error }
    }
}

/// The response, with everything that the call holds until its body has ended.
pub(super) fn answered(mut guard: Guard, response: Response<Source>) -> Response<ResponseBody> {
    let (mut parts, source) = response.into_parts();
    guard.answered(&mut parts.headers);
    guard.passing.respond(parts.status, &mut parts.headers);
    if let Some(report) = &mut guard.report {
        report.answered(parts.status, &parts.headers);
    }
    let slices = Slices::new(guard.passing.throughput());
    let mut body = ResponseBody::new(source, guard);
    body.set_slices(slices);
    Response::from_parts(parts, body)
}

pub(super) fn fail(mut guard: Guard, error: Error) -> Result<Response<ResponseBody>, Error> {
    let error = guard.cause(error);
    let error = error.sent(guard.upstream(), guard.attempts);
    if let Some(report) = &mut guard.report {
        report.failed(error.kind());
    }
    guard.release(End::Failed);
    Err(error)
}
