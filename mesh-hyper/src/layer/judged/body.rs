use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use mesh_core::classify::Class;
use pin_project_lite::pin_project;

use super::told::Told;

pin_project! {
    /// A body of a gRPC response whose status is not known yet.
    ///
    /// # Cancel safety
    /// Dropping it before its end says nothing about the server.
    #[derive(Debug, Default)]
    pub struct Watched<B> {
        #[pin]
        inner: B,
        told: Option<Told>,
    }
}

impl<B> Watched<B> {
    pub(super) fn new(inner: B, told: Told) -> Self {
        Self { inner, told: Some(told) }
    }

    /// One whose status is known.
    pub(super) fn told(inner: B) -> Self {
        Self { inner, told: None }
    }
}

impl<B: Body> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        let Some(told) = this.told.take() else { return Poll::Ready(frame) };
        match &frame {
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => told.called(StatusCode::OK, trailers),
                // Streams may be long, and others wait to know that there is one.
                None if told.is_urgent() => told.tell(Class::Good, None),
                None => *this.told = Some(told),
            },
            // There has to be a status.
            Some(Err(_)) | None => told.called(StatusCode::OK, &HeaderMap::new()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // Whoever sees the end need not ask for more, but the status is in what comes then.
        self.told.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
