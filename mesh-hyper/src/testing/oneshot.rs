//! One request to a service of the test's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower_service::Service;

use crate::body::Body;
use crate::error::BoxError;

/// Waits until a service is ready, then for its answer to one request.
///
/// Not an `async fn`: that would have the service's future be `Send` for errors of any lifetime.
pub(super) struct Oneshot<S: Service<Request<Body>>> {
    service: S,
    /// Until the service has it.
    request: Option<Request<Body>>,
    answer: Option<Pin<Box<S::Future>>>,
}

impl<S: Service<Request<Body>>> Oneshot<S> {
    pub(super) fn new(service: S, request: Request<Body>) -> Self {
        Self { service, request: Some(request), answer: None }
    }
}

/// The service is never pinned.
impl<S: Service<Request<Body>>> Unpin for Oneshot<S> {}

impl<S, B> Future for Oneshot<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.request.is_some() {
            ready!(self.service.poll_ready(cx)).map_err(Into::into)?;
        }
        if let Some(request) = self.request.take() {
            self.answer = Some(Box::pin(self.service.call(request)));
        }
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let response = ready!(answer.as_mut().poll(cx)).map_err(Into::into)?;
        Poll::Ready(Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())))
    }
}
