use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::fault::{
    Abort, AbortKind, Aborted, Active, Delay, DelayKind, Denominator, Fault as Config, Percentage,
};
use mesh_core::request::{Protocol, RequestHead};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

use super::refusal::{Fail, Look, Refusal, Refuse, Respond};
use crate::runtime;

/// Delays requests, or answers them with errors: to see how callers take it.
///
/// Delays come first; each is decided by chance for itself. Aborted requests never reach the service
/// behind. All services that the layer and its clones make share
/// [`max_active`](Self::max_active).
///
/// # Examples
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use http::{Request, Response, StatusCode};
/// use mesh_hyper::layer::FaultLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let home = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
/// let fault = FaultLayer::new()
///     .delay(Duration::from_secs(2), 100)
///     .abort(StatusCode::SERVICE_UNAVAILABLE, 100);
/// let service = ServiceBuilder::new().layer(fault).service(home);
/// let start = tokio::time::Instant::now();
/// assert_eq!(service.oneshot(Request::new(())).await.unwrap().status(), 503);
/// assert_eq!(start.elapsed().as_secs(), 2);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultLayer<M = Respond> {
    config: Config,
    active: Arc<Active>,
    mode: PhantomData<M>,
}

impl FaultLayer {
    /// Harms nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { config: Config::default(), active: Arc::default(), mode: PhantomData }
    }
}

impl Default for FaultLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> FaultLayer<M> {
    /// Delays `percent` of the requests by `time`.
    #[must_use]
    pub fn delay(mut self, time: Duration, percent: u32) -> Self {
        let (kind, percentage) = (DelayKind::Fixed(time), share(percent));
        self.config.delay = Some(Delay { kind, percentage });
        self
    }

    /// Answers `percent` of the requests with `status`; gRPC requests with the status code that
    /// stands for it. Takes the place of an error before.
    #[must_use]
    pub fn abort(self, status: StatusCode, percent: u32) -> Self {
        self.aborting(AbortKind::Http(status), percent)
    }

    /// Answers `percent` of the requests with the gRPC status `code`, others with 200 as Envoy does.
    /// Codes above 16 are UNKNOWN. Takes the place of an error before.
    #[must_use]
    pub fn abort_grpc(self, code: u8, percent: u32) -> Self {
        const UNKNOWN: u8 = 2;
        self.aborting(AbortKind::Grpc(if code > 16 { UNKNOWN } else { code }), percent)
    }

    fn aborting(mut self, kind: AbortKind, percent: u32) -> Self {
        let (percentage, body) = (share(percent), Bytes::new());
        self.config.abort = Some(Abort { kind, percentage, body });
        self
    }

    /// Lets no more than `requests` suffer at one time. Default: any number.
    #[must_use]
    pub fn max_active(mut self, requests: u32) -> Self {
        self.config.max_active = Some(requests);
        self
    }

    /// Fails requests instead of answering them, whatever requests and responses are.
    #[must_use]
    pub fn or_error(self) -> FaultLayer<Fail> {
        FaultLayer { config: self.config, active: self.active, mode: PhantomData }
    }
}

fn share(percent: u32) -> Percentage {
    Percentage { numerator: percent.min(100), denominator: Denominator::Hundred }
}

impl<S, M> Layer<S> for FaultLayer<M> {
    type Service = Fault<S, M>;

    fn layer(&self, inner: S) -> Fault<S, M> {
        let (config, active) = (Arc::new(self.config.clone()), self.active.clone());
        Fault { inner, config, active, mode: PhantomData }
    }
}

/// A service whose requests suffer. Made by [`FaultLayer`].
#[derive(Clone, Debug)]
pub struct Fault<S, M = Respond> {
    inner: S,
    config: Arc<Config>,
    active: Arc<Active>,
    mode: PhantomData<M>,
}

/// What becomes of one request.
struct Fate {
    delay: Option<Duration>,
    aborted: Option<Aborted>,
    suffering: Option<Suffering>,
}

impl<S, M> Fault<S, M> {
    /// Decides about a request. What requests say of themselves counts only in the mesh.
    fn fate(&self) -> Fate {
        let (method, uri, headers) = (Method::GET, Uri::default(), HeaderMap::new());
        let head = RequestHead::from_pieces(&method, &uri, &headers, "");
        let (delay, aborted) =
            runtime::with_rng(|rng| (self.config.delay(&head, rng), self.config.abort(&head, rng)));
        if delay.is_none() && aborted.is_none() {
            return Fate { delay, aborted, suffering: None };
        }
        match self.active.enter(self.config.max_active) {
            true => Fate { delay, aborted, suffering: Some(Suffering(self.active.clone())) },
            false => Fate { delay: None, aborted: None, suffering: None },
        }
    }
}

impl<S, Q, M> Service<Q> for Fault<S, M>
where
    S: Service<Q> + Clone,
    M: Look<Q> + Refuse<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = FaultFuture<S, Q, S::Future, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> Self::Future {
        let Fate { delay, aborted, suffering } = self.fate();
        let refusal = aborted.map(|aborted| (refusal(aborted), M::protocol(&mut request)));
        let state = match delay {
            Some(delay) => {
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let sleep = runtime::sleep_until(runtime::after(delay));
                State::Delayed { sleep, call: Some((ready, request)) }
            }
            None if refusal.is_some() => State::Done,
            None => State::Called { inner: self.inner.call(request) },
        };
        FaultFuture { state, refusal, suffering, mode: PhantomData }
    }
}

fn refusal(aborted: Aborted) -> Refusal {
    match aborted {
        Aborted::Http(status) => {
            Refusal::fault(status, mesh_core::filter::LocalResponse::grpc_code(status))
        }
        Aborted::Grpc(code) => Refusal::fault(StatusCode::OK, code),
    }
}

/// Counts a request that suffers, until it is dropped.
#[derive(Debug)]
struct Suffering(Arc<Active>);

impl Drop for Suffering {
    fn drop(&mut self) {
        self.0.leave();
    }
}

pin_project! {
    /// A response after its delay, or an error.
    ///
    /// # Cancel safety
    /// Dropping it drops the request, which then no longer counts as suffering.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct FaultFuture<S, Q, F, M> {
        #[pin]
        state: State<S, Q, F>,
        refusal: Option<(Refusal, Protocol)>,
        suffering: Option<Suffering>,
        mode: PhantomData<M>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<S, Q, F> {
        Delayed { #[pin] sleep: Sleep, call: Option<(S, Q)> },
        Called { #[pin] inner: F },
        Done,
    }
}

impl<S, Q, M> Future for FaultFuture<S, Q, S::Future, M>
where
    S: Service<Q>,
    M: Refuse<S::Response, S::Error>,
{
    type Output = Result<S::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Delayed { sleep, call } => {
                    ready!(sleep.poll(cx));
                    match (call.take(), this.refusal.is_some()) {
                        (Some((mut ready, request)), false) => {
                            State::Called { inner: ready.call(request) }
                        }
                        (_, _) => State::Done,
                    }
                }
                StateProjection::Called { inner } => return inner.poll(cx).map_err(M::pass),
                StateProjection::Done => {
                    drop(this.suffering.take());
                    return match this.refusal.take() {
                        Some((refusal, protocol)) => Poll::Ready(M::refuse(&refusal, protocol)),
                        // It has said all that it had to say.
                        None => Poll::Pending,
                    };
                }
            };
            this.state.set(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::error::{BoxError, Error, Kind};
    use crate::layer::contract::{self, Play, Strict};

    const SECOND: Duration = Duration::from_secs(1);

    fn strict() -> Strict {
        Strict::new([Play::status(200)])
    }

    fn grpc() -> Request<String> {
        let mut request = Request::new(String::new());
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        request
    }

    #[tokio::test(start_paused = true)]
    async fn aborts_are_answered_in_the_callers_own_terms() {
        let layer = FaultLayer::new().abort(StatusCode::NOT_FOUND, 100);
        let below = strict();
        let service = layer.layer(below.clone());
        let response = service.clone().oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!(response.status(), 404);
        let response = service.oneshot(grpc()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["grpc-status"]),
            (200, &"12".parse().unwrap())
        );
        let layer = FaultLayer::new().abort_grpc(99, 100);
        let response = layer.layer(below.clone()).oneshot(grpc()).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "2");
        assert_eq!(below.seen().len(), 0);
        let service = layer.or_error().layer(below);
        let error: BoxError = service.oneshot(grpc()).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(Kind::Dropped));
    }

    #[tokio::test(start_paused = true)]
    async fn delayed_requests_go_on_to_the_service_that_was_ready() {
        let start = runtime::now();
        let service = FaultLayer::new().delay(SECOND, 100).layer(strict());
        let response = service.oneshot(Request::new(String::new())).await.unwrap();
        assert_eq!((response.status().as_u16(), runtime::now() - start), (200, SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_suffer_at_one_time_and_nobody_who_is_gone() {
        let layer = FaultLayer::new().delay(SECOND, 100).max_active(1);
        let mut service = layer.layer(strict());
        let request = || Request::new(String::new());
        ready(&mut service).await;
        let first = service.call(request());
        ready(&mut service).await;
        let second = service.call(request());
        assert_eq!(layer.active.count(), 1);
        let start = runtime::now();
        second.await.unwrap();
        assert_eq!(runtime::now(), start, "it is not delayed");
        drop(first);
        assert_eq!(layer.active.count(), 0);
        ready(&mut service).await;
        service.call(request()).await.unwrap();
        assert_eq!((runtime::now() - start, layer.active.count()), (SECOND, 0));
    }

    async fn ready(service: &mut Fault<Strict>) {
        ServiceExt::<Request<String>>::ready(service).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_called_ready_and_dropped_requests_are_gone() {
        contract::check(|strict| FaultLayer::new().layer(strict)).await;
    }
}
