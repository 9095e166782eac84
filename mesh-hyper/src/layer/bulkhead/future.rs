use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use mesh_core::request::Protocol;
use pin_project_lite::pin_project;
use tokio::sync::oneshot::Receiver;
use tokio::time::Sleep;
use tower_service::Service;

use super::queue::Place;
use crate::layer::refusal::{Refusal, Refuse};
use crate::runtime;

pin_project! {
    /// A response, perhaps after a wait, or what is said instead.
    ///
    /// # Cancel safety
    /// Dropping it drops the request and gives its place back, also the one among those who wait.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct BulkheadFuture<S, Q, M>
    where
        S: Service<Q>,
    {
        #[pin]
        state: State<S, S::Future, Q>,
        protocol: Protocol,
        mode: PhantomData<M>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<S, F, Q> {
        // There was no place.
        Refused,
        // For a place.
        Waiting {
            // Taken together.
            ready: Option<(S, Q)>,
            told: Receiver<Place>,
            #[pin]
            sleep: Sleep,
        },
        // In a place.
        Sent {
            #[pin]
            future: F,
            place: Option<Place>,
        },
    }
}

impl<S: Service<Q>, Q, M> BulkheadFuture<S, Q, M> {
    pub(super) fn sent(future: S::Future, place: Place) -> Self {
        Self::of(State::Sent { future, place: Some(place) }, Protocol::Http)
    }

    pub(super) fn refused(protocol: Protocol) -> Self {
        Self::of(State::Refused, protocol)
    }

    pub(super) fn waiting(ready: S, request: Q, told: Receiver<Place>, until: Instant) -> Self {
        let sleep = runtime::sleep_until(until);
        Self::of(State::Waiting { ready: Some((ready, request)), told, sleep }, Protocol::Http)
    }

    pub(super) fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    fn of(state: State<S, S::Future, Q>, protocol: Protocol) -> Self {
        Self { state, protocol, mode: PhantomData }
    }
}

impl<S, Q, M> Future for BulkheadFuture<S, Q, M>
where
    S: Service<Q>,
    M: Refuse<S::Response, S::Error>,
{
    type Output = Result<S::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Refused => {
                    return Poll::Ready(M::refuse(&Refusal::FULL, *this.protocol));
                }
                StateProjection::Waiting { ready, told, sleep } => match Pin::new(told).poll(cx) {
                    Poll::Ready(told) => match (told, ready.take()) {
                        (Ok(place), Some((mut service, request))) => {
                            State::Sent { future: service.call(request), place: Some(place) }
                        }
                        (Ok(_) | Err(_), _) => State::Refused,
                    },
                    Poll::Pending => {
                        ready!(sleep.poll(cx));
                        State::Refused
                    }
                },
                StateProjection::Sent { future, place } => {
                    let done = ready!(future.poll(cx));
                    *place = None;
                    return Poll::Ready(done.map_err(M::pass));
                }
            };
            this.state.set(next);
        }
    }
}
