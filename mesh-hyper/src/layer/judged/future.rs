use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mesh_core::classify::{Class, Failure};
use mesh_core::request::Protocol;
use pin_project_lite::pin_project;

use super::judge::{Judge, Told};
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
        // None is refused.
        #[pin]
        inner: Option<F>,
        told: Option<Told>,
        judge: C,
        refusal: &'static Refusal,
        protocol: Protocol,
        mode: PhantomData<M>,
    }
}

impl<F, C, M> JudgedFuture<F, C, M> {
    /// A request under way.
    pub(crate) fn sent(inner: F, judge: C, told: Told) -> Self {
        Self {
            inner: Some(inner),
            told: Some(told),
            judge,
            refusal: &Refusal::LATE,
            protocol: Protocol::Http,
            mode: PhantomData,
        }
    }

    /// A request that is refused.
    pub(crate) fn refused(refusal: &'static Refusal, protocol: Protocol, judge: C) -> Self {
        Self { inner: None, told: None, judge, refusal, protocol, mode: PhantomData }
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
        let (Some(inner), true) = (this.inner.as_pin_mut(), this.told.is_some()) else {
            return Poll::Ready(M::refuse(this.refusal, *this.protocol));
        };
        let done = ready!(inner.poll(cx));
        let told = this.told.take();
        Poll::Ready(match (done, told) {
            (Ok(response), Some(told)) => Ok(this.judge.judge(response, told)),
            (Ok(_), None) => M::refuse(this.refusal, *this.protocol),
            (Err(error), told) => {
                // What was refused on this side says nothing about the server.
                if let (Some(told), true) = (told, failure::of(&error) != Failure::Overflow) {
                    told.tell(Class::Bad, None);
                }
                Err(M::pass(error))
            }
        })
    }
}
