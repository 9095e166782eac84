//! The fast path: a call that waits for nothing but its response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use http::Response;
use http::uri::Authority;

use super::again::Terms;
use super::attempt::{self, Next, Spur, answered, fail};
use super::call::Decided;
use super::{again, race};
use crate::body::{Guard, ResponseBody};
use crate::error::Error;
use crate::transport::exchange::Exchange;

/// A response, some time later.
///
/// # Cancel safety
/// Dropping it resets the stream, stops the request body and gives everything back.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(State);

#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum State {
    /// Sent; the response is awaited.
    Sent {
        exchange: Exchange,
        guard: Guard,
        authority: Option<Authority>,
        wait_for_ready: bool,
    },
    /// Something has to be waited for before it can be sent.
    Slow(Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Error>> + Send>>),
    /// Decided without sending anything.
    Decided(Decided),
    Ended,
}

impl ResponseFuture {
    /// A call that has been sent.
    #[inline]
    pub(super) fn sent(
        exchange: Exchange,
        guard: Guard,
        authority: Option<Authority>,
        wait_for_ready: bool,
    ) -> Self {
        Self(State::Sent { exchange, guard, authority, wait_for_ready })
    }

    pub(super) fn decided(result: Result<Response<ResponseBody>, Error>) -> Self {
        Self(State::Decided(Box::new(result)))
    }

    /// A call that is made only when something else has come.
    pub(super) fn later(
        future: impl Future<Output = Result<Response<ResponseBody>, Error>> + Send + 'static,
    ) -> Self {
        Self(State::Slow(Box::pin(future)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                State::Sent { exchange, guard, authority, wait_for_ready } => {
                    let ended = ready!(attempt::poll(exchange, guard, cx));
                    let next = match attempt::next(exchange, guard, ended) {
                        Next::GoOn => continue,
                        Next::Race(spur) => {
                            self.race(spur);
                            continue;
                        }
                        next @ (Next::Answer(_) | Next::Fail(_) | Next::Again(_)) => next,
                    };
                    let guard = std::mem::take(guard);
                    let terms = Terms::new(authority.take(), *wait_for_ready);
                    // The exchange goes first: what is left of it is on the guard's stream.
                    self.0 = State::Ended;
                    match next {
                        Next::Answer(response) => {
                            return Poll::Ready(Ok(answered(guard, response)));
                        }
                        Next::Fail(error) => return Poll::Ready(fail(guard, error)),
                        Next::Again(again) => {
                            let retried = again::run(guard, terms, again);
                            self.0 = State::Slow(Box::pin(retried));
                        }
                        Next::Race(_) | Next::GoOn => {}
                    }
                }
                State::Slow(future) => {
                    let done = ready!(future.as_mut().poll(cx));
                    self.0 = State::Ended;
                    return Poll::Ready(done);
                }
                State::Decided(_) => {
                    if let State::Decided(done) = std::mem::replace(&mut self.0, State::Ended) {
                        return Poll::Ready(*done);
                    }
                }
                State::Ended => return Poll::Pending,
            }
        }
    }
}

impl ResponseFuture {
    /// Other attempts start beside the one under way.
    #[cold]
    fn race(&mut self, spur: Spur) {
        self.0 = match std::mem::replace(&mut self.0, State::Ended) {
            State::Sent { exchange, guard, authority, wait_for_ready } => {
                let terms = Terms::new(authority, wait_for_ready);
                let race = race::run(guard, exchange, terms, spur);
                State::Slow(Box::pin(race))
            }
            other @ (State::Slow(_) | State::Decided(_) | State::Ended) => other,
        };
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Sent { .. } => "sent",
            State::Slow(_) => "waiting",
            State::Decided(_) => "decided",
            State::Ended => "ended",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
