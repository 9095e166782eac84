use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mesh_core::classify::{Class, Failure};
use mesh_core::request::Protocol;
use pin_project_lite::pin_project;

use super::judge::Judge;
use super::told::Told;
use crate::layer::failure;
use crate::layer::refusal::{Refusal, Refuse};

pin_project! {
    /// A response that somebody learns from, or what is said instead.
    ///
    /// # Cancel safety
    /// Dropping it drops the request, from which nothing is learned then.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct JudgedFuture<F, C, M> {
        #[pin]
        state: State<F>,
        judge: C,
        mode: PhantomData<M>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        // It was not sent.
        Refused { refusal: &'static Refusal, protocol: Protocol },
        // It is under way; taken when it has ended.
        Sent {
            #[pin]
            inner: F,
            told: Option<Told>,
        },
    }
}

impl<F, C, M> JudgedFuture<F, C, M> {
    /// A request under way.
    pub(crate) fn sent(inner: F, judge: C, told: Told) -> Self {
        Self { state: State::Sent { inner, told: Some(told) }, judge, mode: PhantomData }
    }

    /// A request that is refused.
    pub(crate) fn refused(refusal: &'static Refusal, protocol: Protocol, judge: C) -> Self {
        Self { state: State::Refused { refusal, protocol }, judge, mode: PhantomData }
    }
}

impl<F, C, M, R, E> Future for JudgedFuture<F, C, M>
where
    F: Future<Output = Result<R, E>>,
    C: Judge<R>,
    M: Refuse<C::Response, E>,
    E: Any,
{
    type Output = Result<C::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProjection::Refused { refusal, protocol } => {
                Poll::Ready(M::refuse(refusal, *protocol))
            }
            StateProjection::Sent { inner, told } => {
                let done = ready!(inner.poll(cx));
                let Some(told) = told.take() else { return Poll::Pending };
                Poll::Ready(match done {
                    Ok(response) => Ok(this.judge.judge(response, told)),
                    Err(error) => {
                        // What was refused on this side says nothing about the server.
                        if failure::of(&error) != Failure::Overflow {
                            told.tell(Class::Bad, None);
                        }
                        Err(M::pass(error))
                    }
                })
            }
        }
    }
}
