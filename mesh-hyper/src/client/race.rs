//! A call that is made more than once at a time: the first good answer wins, and the other attempts
//! are reset.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mesh_core::classify::{Failure, Outcome as Attempted};
use mesh_core::retry;

use super::again::{self, Home, Terms, bound, given_up, over, told};
use super::attempt::{self, Spur, answered, fail};
use super::lane::{Cost, Fee, Lane, Leg, Run, Sent};
use super::slow::Outcome;
use crate::body::{Guard, Late};
use crate::error::{Error, Kind};
use crate::pool::{Avoid, Draw, Want};
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::exchange::{self, Broken, Exchange, Started, Way};
use crate::transport::recv::Source;

/// Makes the call of `exchange`, which goes on, more than once at a time.
pub(super) fn run(
    guard: Guard,
    exchange: Exchange,
    terms: Terms,
    spur: Spur,
) -> impl Future<Output = Outcome> + Send + use<> {
    // Before it is polled: what was paid for hedges is given back if it never is.
    let race = prepared(guard, exchange, terms, spur);
    async move {
        match race {
            Ok(race) => race.run().await,
            Err(failed) => *failed,
        }
    }
}

fn prepared(
    mut guard: Guard,
    exchange: Exchange,
    terms: Terms,
    spur: Spur,
) -> Result<Race, Box<Outcome>> {
    let failed = |guard, why| Err(Box::new(fail(guard, Error::new(Kind::Transport, why))));
    let (Some(home), Some(request)) = (Home::of(&guard), exchange.copy()) else {
        return failed(guard, "the request cannot be sent twice");
    };
    let Some((stream, permit)) = guard.detach() else {
        return failed(guard, "the request was not sent");
    };
    let home = Arc::new(home);
    let mut race = Race { guard, terms, home, request, lanes: Vec::new() };
    let tries = race.guard.course.tries();
    let (until, retry) = tries.map_or((None, None), |tries| {
        // It may be a retry, whose place it keeps for as long as it runs.
        (tries.pace.attempt_end(), tries.take_permit())
    });
    race.started(Sent { exchange, leg: Leg::new(stream, permit) }, until, retry);
    race.spurred(spur);
    Ok(race)
}

/// A call and its attempts.
struct Race {
    guard: Guard,
    terms: Terms,
    home: Arc<Home>,
    /// What each attempt sends.
    request: (Request<()>, Bytes),
    lanes: Vec<Lane>,
}

/// Something that has happened.
enum Event {
    /// An attempt has been sent, and its time runs.
    Sent,
    /// An attempt has come to an end.
    Done(usize, Result<Response<Source>, Broken>),
    /// An attempt could not be sent.
    Unsent(usize, Error),
    /// A time has come.
    Time,
}

/// What a race ends with.
enum End {
    Answer(Response<Source>),
    Fail(Error),
    Late(Late),
}

impl Race {
    async fn run(mut self) -> Outcome {
        loop {
            let event = self.event().await;
            let Some(end) = self.follow(event) else { continue };
            return match end {
                End::Answer(response) => Ok(answered(self.guard, response)),
                End::Fail(error) => fail(self.guard, error),
                End::Late(late) => {
                    self.lanes.clear();
                    over(self.guard, late)
                }
            };
        }
    }

    fn spurred(&mut self, spur: Spur) {
        let now = runtime::now();
        match spur {
            Spur::Start(attempts) => {
                for _ in 1..attempts {
                    self.add(now, Cost::Hedge(Fee::paid(&self.home)));
                }
            }
            Spur::Soft => self.soft(0),
            Spur::Alone => self.one_more(now),
        }
    }

    async fn event(&mut self) -> Event {
        let due = self.due();
        let time = async {
            match due {
                Some(at) => runtime::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = poll_fn(|cx| self.poll(cx)) => event,
            () = time => Event::Time,
        }
    }

    /// When something is over next.
    fn due(&mut self) -> Option<Instant> {
        let beside = self.beside_at();
        let (bound, _) = bound(&mut self.guard);
        let lanes = self.lanes.iter().filter_map(|lane| lane.until);
        lanes.chain(beside).chain(bound).min()
    }

    /// When another attempt starts beside those that have been sent; there has to be one.
    fn beside_at(&mut self) -> Option<Instant> {
        let is_sent = self.lanes.iter().any(Lane::is_sent);
        self.guard.course.tries().filter(|_| is_sent)?.beside_at()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut came = None;
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            match &mut lane.run {
                Run::Coming(coming) => match coming.as_mut().poll(cx) {
                    Poll::Pending => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Event::Unsent(at, error)),
                    Poll::Ready(Ok(sent)) => {
                        came = Some((at, sent));
                        break;
                    }
                },
                Run::Sent(sent) => {
                    let Some(stream) = sent.leg.stream() else { continue };
                    if let Poll::Ready(done) = sent.exchange.poll(stream, None, cx) {
                        return Poll::Ready(Event::Done(at, done));
                    }
                }
            }
        }
        let Some((at, sent)) = came else { return Poll::Pending };
        let permit = self.lanes.swap_remove(at).permit;
        self.guard.attempts = self.guard.attempts.saturating_add(1);
        let now = runtime::now();
        let until = self.guard.course.tries().and_then(|tries| {
            tries.started(now);
            tries.attempt_end(now)
        });
        self.started(sent, until, permit);
        Poll::Ready(Event::Sent)
    }

    /// An attempt has been sent.
    fn started(&mut self, sent: Sent, until: Option<Instant>, permit: Option<retry::Permit>) {
        if let (Some(tries), Some(stream)) = (self.guard.course.tries(), sent.leg.stream()) {
            tries.asked(&stream.0.endpoint);
        }
        self.lanes.push(Lane { run: Run::Sent(sent), until, permit });
    }

    /// One more attempt, at this time.
    fn add(&mut self, at: Instant, cost: Cost) {
        let (permit, fee) = match cost {
            Cost::Retry(permit) => (permit, None),
            Cost::Hedge(fee) => (None, Some(fee)),
        };
        let (head, body) = &self.request;
        let request = told(head.clone(), &self.guard).map(|()| Full::new(body.clone()));
        let home = self.home.clone();
        let authority = self.terms.authority.as_ref().unwrap_or(&home.target.authority).clone();
        // Silence ends a call, too, but is put off by each byte: it is not told.
        let end = self.guard.timer.deadline();
        let deadline = bound(&mut self.guard).0;
        let (patient, keep) = (self.terms.patient, self.guard.course.keep());
        let elsewhere = self.guard.course.elsewhere();
        let pending = home.pending(&self.guard, head.headers());
        let coming = async move {
            runtime::sleep_until(at).await;
            let avoid = elsewhere.as_ref().map(|(hosts, tried)| Avoid { hosts, tried });
            let want = Want { deadline, patient, draw: Draw::Done, avoid, pending };
            let stream = home.pool.wait(want).await?;
            let permit = home.admit(&stream)?;
            let (mut parts, body) = request.into_parts();
            if let Some(end) = end {
                // Some of the time is gone.
                again::hurry(&mut parts.headers, end);
            }
            let way = Way { stream: &stream, authority: &authority, keep };
            let Started { exchange, .. } = exchange::start(way, parts, body)?;
            fee.into_iter().for_each(Fee::keep);
            Ok(Sent { exchange, leg: Leg::new(stream, permit) })
        };
        self.lanes.push(Lane { run: Run::Coming(Box::pin(coming)), until: None, permit });
    }

    fn follow(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Sent => None,
            Event::Time => self.time(),
            Event::Done(at, Ok(response)) => self.answer(at, response),
            Event::Done(at, Err(Broken::Failed(error))) => {
                self.failed(at, Some(Failure::Reset), error)
            }
            Event::Done(at, Err(Broken::Unprocessed(returned))) => {
                if self.terms.returns.are_too_many(returned.why) {
                    let error = given_up(&self.home.target, returned.why);
                    return self.failed(at, Some(Failure::Refused), error);
                }
                let permit = self.lanes.swap_remove(at).permit;
                self.add(runtime::now(), Cost::Retry(permit));
                None
            }
            Event::Unsent(at, error) => {
                let is_connect = attempt::is_connect(&self.guard.course, &self.home.pool, &error);
                self.failed(at, is_connect.then_some(Failure::Connect), error)
            }
        }
    }

    fn time(&mut self) -> Option<End> {
        let now = runtime::now();
        let (until, late) = bound(&mut self.guard);
        if until.is_some_and(|until| until <= now) {
            if late == Late::Deadline {
                let streams = self.lanes.iter().filter_map(Lane::stream);
                streams.for_each(|stream| self.guard.overdue(stream));
            }
            return Some(End::Late(late));
        }
        let beside = self.beside_at();
        if beside.is_some_and(|at| at <= now) {
            self.one_more(now);
        }
        let is_over = |lane: &Lane| lane.until.is_some_and(|until| until <= now);
        let at = self.lanes.iter().position(is_over)?;
        self.lanes.get(at).and_then(Lane::stream).into_iter().for_each(Stream::late);
        if self.guard.course.tries().is_some_and(|tries| tries.is_soft()) {
            self.soft(at);
            return None;
        }
        let error = self.guard.late(Late::Attempt, "before the answer of");
        self.failed(at, Some(Failure::TimedOut), error)
    }

    /// The attempt `at` has used up its time, and goes on.
    fn soft(&mut self, at: usize) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.until = None;
        }
        let report = self.guard.report.as_deref();
        let Some(tries) = self.guard.course.tries() else { return };
        if tries.beside(&self.home.pool, report) {
            let permit = tries.take_permit();
            self.add(runtime::now(), Cost::Retry(permit));
        }
    }

    fn one_more(&mut self, now: Instant) {
        let tries = self.guard.course.tries();
        if tries.is_some_and(|tries| tries.one_more(&self.home.pool)) {
            self.add(now, Cost::Hedge(Fee::paid(&self.home)));
        }
    }

    fn answer(&mut self, at: usize, response: Response<Source>) -> Option<End> {
        let mut lane = self.lanes.swap_remove(at);
        let outcome = Attempted::answer(response.status(), response.headers());
        let is_bad = self.guard.course.tries().is_some_and(|tries| tries.is_bad(&outcome));
        if is_bad {
            lane.permit = None;
            if self.goes_on(&outcome) {
                return None;
            }
        }
        self.lanes.clear();
        self.take_over(lane);
        Some(End::Answer(response))
    }

    fn failed(&mut self, at: usize, failure: Option<Failure>, error: Error) -> Option<End> {
        let mut lane = self.lanes.swap_remove(at);
        lane.permit = None;
        let goes_on = match failure {
            Some(failure) => self.goes_on(&Attempted::Failed(failure)),
            None => !self.lanes.is_empty(),
        };
        if goes_on {
            return None;
        }
        self.take_over(lane);
        Some(End::Fail(error))
    }

    /// Whether the call goes on after a bad `outcome`: with another attempt in the place of the one
    /// that has ended, or with those that are under way.
    fn goes_on(&mut self, outcome: &Attempted<'_>) -> bool {
        let report = self.guard.report.as_deref();
        let Some(tries) = self.guard.course.tries() else { return false };
        if let Some(at) = tries.after(&self.home.pool, outcome, true, report) {
            let permit = tries.take_permit();
            self.add(at, Cost::Retry(permit));
        }
        !self.lanes.is_empty()
    }

    /// What the call ends with is what this attempt has come to.
    fn take_over(&mut self, mut lane: Lane) {
        if let Run::Sent(sent) = &mut lane.run {
            (self.guard.stream, self.guard.permit) = sent.leg.take().unzip();
        }
    }
}
