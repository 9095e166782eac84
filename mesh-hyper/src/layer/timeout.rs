use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::inherited;
use mesh_core::request::Protocol;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

use super::refusal::{Fail, Look, Refusal, Refuse, Respond};
use crate::runtime;

/// Bounds the time until the head of a response.
///
/// What a caller says itself counts where it is shorter (`grpc-timeout`, or
/// `x-envoy-expected-rq-timeout-ms` of HTTP), and the service behind is told how long it has. Late
/// requests are dropped, and answered with 504 or DEADLINE_EXCEEDED.
///
/// # Examples
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use http::{Request, Response};
/// use mesh_hyper::layer::TimeoutLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let slow = service_fn(|_: Request<()>| async {
///     tokio::time::sleep(Duration::from_secs(9)).await;
///     Ok::<_, Infallible>(Response::new(()))
/// });
/// let service =
///     ServiceBuilder::new().layer(TimeoutLayer::new(Duration::from_secs(2))).service(slow);
/// let response = service.oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.status(), 504);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer<M = Respond> {
    limit: Duration,
    mode: PhantomData<M>,
}

impl TimeoutLayer {
    /// Gives requests `limit` at the most.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, mode: PhantomData }
    }

    /// Fails late requests instead of answering them, whatever requests and responses are: what they
    /// say is not looked at, so that callers are not heard and the service behind is told nothing.
    #[must_use]
    pub fn or_error(self) -> TimeoutLayer<Fail> {
        TimeoutLayer { limit: self.limit, mode: PhantomData }
    }
}

impl<S, M> Layer<S> for TimeoutLayer<M> {
    type Service = Timeout<S, M>;

    fn layer(&self, inner: S) -> Timeout<S, M> {
        Timeout { inner, limit: self.limit, mode: PhantomData }
    }
}

/// A service whose requests have only so much time. Made by [`TimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S, M = Respond> {
    inner: S,
    limit: Duration,
    mode: PhantomData<M>,
}

impl<S, Q, M> Service<Q> for Timeout<S, M>
where
    S: Service<Q>,
    M: Look<Q> + Refuse<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = TimeoutFuture<S::Future, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> TimeoutFuture<S::Future, M> {
        let protocol = M::protocol(&mut request);
        let limit = match M::headers(&mut request) {
            Some(headers) => inherited::shorten(headers, protocol, self.limit),
            None => self.limit,
        };
        let sleep = runtime::sleep_until(runtime::after(limit));
        TimeoutFuture { inner: self.inner.call(request), sleep, protocol, mode: PhantomData }
    }
}

pin_project! {
    /// A response in time, or what is said instead.
    ///
    /// # Cancel safety
    /// Dropping it drops the request.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct TimeoutFuture<F, M> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Sleep,
        protocol: Protocol,
        mode: PhantomData<M>,
    }
}

impl<F, M, R, E> Future for TimeoutFuture<F, M>
where
    F: Future<Output = Result<R, E>>,
    M: Refuse<R, E>,
{
    type Output = Result<R, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.inner.poll(cx) {
            return Poll::Ready(done.map_err(M::pass));
        }
        this.sleep.poll(cx).map(|()| M::refuse(&Refusal::LATE, *this.protocol))
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::error::{BoxError, Error};
    use crate::layer::contract::{self, Strict};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_shorter_of_both_limits_counts() {
        for (timeout, told, status) in [
            (None, "3S", "4"),
            (Some("1S"), "1S", "4"),
            (Some("9S"), "3S", "4"),
            (Some("nonsense"), "3S", "4"),
        ] {
            let strict = Strict::slow(SECOND * 20);
            let mut request = Request::new(String::new());
            request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            if let Some(timeout) = timeout {
                request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
            }
            let start = runtime::now();
            let service = TimeoutLayer::new(SECOND * 3).layer(strict.clone());
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.headers()["grpc-status"], status);
            assert_eq!(strict.seen()[0].headers["grpc-timeout"], told);
            let limit = if timeout == Some("1S") { SECOND } else { SECOND * 3 };
            assert_eq!((runtime::now() - start).as_secs(), limit.as_secs());
        }
        let strict = Strict::slow(SECOND * 20);
        let mut request = Request::new(String::new());
        request.headers_mut().insert(inherited::EXPECTED_TIMEOUT, "1500".parse().unwrap());
        let start = runtime::now();
        let response = TimeoutLayer::new(SECOND * 3).layer(strict).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!((runtime::now() - start).as_millis(), 1_500);
    }

    #[tokio::test(start_paused = true)]
    async fn late_requests_are_answered_or_fail() {
        let layer = TimeoutLayer::new(SECOND);
        let slow = || Strict::slow(SECOND * 2);
        let response = layer.layer(slow()).oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let error: BoxError =
            layer.or_error().layer(slow()).oneshot(Request::new(String::new())).await.unwrap_err();
        assert!(error.downcast_ref::<Error>().is_some_and(Error::is_deadline));
        let quick = Strict::slow(SECOND / 2);
        let response = layer.layer(quick).oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_called_ready_and_dropped_requests_are_gone() {
        contract::check(|strict| TimeoutLayer::new(SECOND).layer(strict)).await;
    }
}
