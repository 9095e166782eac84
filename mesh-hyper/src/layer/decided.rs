use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use mesh_core::request::Protocol;
use pin_project_lite::pin_project;

use super::refusal::{Refusal, Refuse};

pin_project! {
    /// The response of a service, or what is said at once instead.
    ///
    /// # Cancel safety
    /// Dropping it drops the request.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Decided<F, M> {
        #[pin]
        inner: Option<F>,
        refusal: Option<(Refusal, Protocol)>,
        mode: PhantomData<M>,
    }
}

impl<F, M> Decided<F, M> {
    pub(super) fn pass(inner: F) -> Self {
        Self { inner: Some(inner), refusal: None, mode: PhantomData }
    }

    pub(super) fn refuse(refusal: Refusal, protocol: Protocol) -> Self {
        Self { inner: None, refusal: Some((refusal, protocol)), mode: PhantomData }
    }
}

impl<F, M, R, E> Future for Decided<F, M>
where
    F: Future<Output = Result<R, E>>,
    M: Refuse<R, E>,
{
    type Output = Result<R, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.inner.as_pin_mut(), this.refusal.take()) {
            (Some(inner), _) => inner.poll(cx).map_err(M::pass),
            (None, Some((refusal, protocol))) => Poll::Ready(M::refuse(&refusal, protocol)),
            // It has said all that it had to say.
            (None, None) => Poll::Pending,
        }
    }
}
