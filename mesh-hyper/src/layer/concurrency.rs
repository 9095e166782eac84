use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mesh_core::concurrency::{Limiter, Permit};
use mesh_core::request::Protocol;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::matter::{Callers, criticality};
use super::refusal::{Fail, Look, Refusal, Refuse, Respond};
use crate::runtime;

/// Bounds the requests under way, by a limit that is found out from how long they take.
///
/// Where more requests come than can be carried out, those that are served are served in time, and
/// the others are refused at once, with 503 or UNAVAILABLE. A request is under way until the head of
/// its response is there. All services that one layer makes share its limit.
///
/// Nothing has to be known about the service, but its requests should be much alike, and answered
/// at once: the length of a stream says nothing about how busy a server is. [`Limiter`] has other
/// ways to find the limit, and lets the less critical use only a part of it ([`Limiter::shedding`]).
/// How much a request matters, servers of the mesh know; see [`obey_callers`](Self::obey_callers)
/// for others.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use mesh_hyper::layer::AdaptiveConcurrencyLayer;
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let slow = service_fn(|_: Request<()>| async {
///     tokio::time::sleep(Duration::from_secs(1)).await;
///     Ok::<_, BoxError>(Response::new(()))
/// });
/// let service = AdaptiveConcurrencyLayer::new().layer(slow);
/// // The limit starts at 20.
/// let all = (0..21).map(|_| tokio::spawn(service.clone().oneshot(Request::new(()))));
/// let all: Vec<_> = all.collect();
/// let mut refused = 0;
/// for response in all {
///     let status = response.await.unwrap().unwrap().status();
///     refused += u32::from(status == StatusCode::SERVICE_UNAVAILABLE);
/// }
/// assert_eq!(refused, 1);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrencyLayer<M = Respond> {
    limiter: Limiter,
    callers: Callers,
    mode: PhantomData<M>,
}

impl AdaptiveConcurrencyLayer {
    /// Finds the limit by the queue that latencies speak of
    /// ([`Vegas`](mesh_core::concurrency::Vegas)).
    #[must_use]
    pub fn new() -> Self {
        Self::by(Limiter::default())
    }

    /// Refuses when `limiter` does, which others may share.
    #[must_use]
    pub fn by(limiter: Limiter) -> Self {
        Self { limiter, callers: Callers::Unheard, mode: PhantomData }
    }

    /// Fails requests that are refused instead of answering them.
    #[must_use]
    pub fn or_error(self) -> AdaptiveConcurrencyLayer<Fail> {
        let Self { limiter, callers, .. } = self;
        AdaptiveConcurrencyLayer { limiter, callers, mode: PhantomData }
    }
}

impl<M> AdaptiveConcurrencyLayer<M> {
    /// Outside of servers of the mesh, takes the word of requests for how much they matter
    /// (`x-mesh-criticality`), where they have header fields to look at.
    ///
    /// For callers who are trusted: whoever is not would say that his requests matter most.
    #[must_use]
    pub fn obey_callers(mut self) -> Self {
        self.callers = Callers::Obeyed;
        self
    }

    /// The limit.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }
}

impl Default for AdaptiveConcurrencyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, M> Layer<S> for AdaptiveConcurrencyLayer<M> {
    type Service = AdaptiveConcurrency<S, M>;

    fn layer(&self, inner: S) -> AdaptiveConcurrency<S, M> {
        let (limiter, callers) = (self.limiter.clone(), self.callers);
        AdaptiveConcurrency { inner, limiter, callers, mode: PhantomData }
    }
}

/// A service that gets only as much to do as it can. Made by [`AdaptiveConcurrencyLayer`].
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency<S, M = Respond> {
    inner: S,
    limiter: Limiter,
    callers: Callers,
    mode: PhantomData<M>,
}

impl<S, Q, M> Service<Q> for AdaptiveConcurrency<S, M>
where
    S: Service<Q>,
    M: Look<Q> + Refuse<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = AdaptiveConcurrencyFuture<S::Future, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> Self::Future {
        let criticality = criticality(self.callers, M::headers(&mut request));
        let now = runtime::now();
        let permit = runtime::with_rng(|rng| self.limiter.admit(criticality, now, rng)).ok();
        let protocol = M::protocol(&mut request);
        let inner = permit.is_some().then(|| self.inner.call(request));
        AdaptiveConcurrencyFuture { inner, permit, protocol, mode: PhantomData }
    }
}

pin_project! {
    /// A response, or what is said instead.
    ///
    /// # Cancel safety
    /// Dropping it drops the request and gives its place back.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct AdaptiveConcurrencyFuture<F, M> {
        // None is refused.
        #[pin]
        inner: Option<F>,
        permit: Option<Permit>,
        protocol: Protocol,
        mode: PhantomData<M>,
    }

    impl<F, M> PinnedDrop for AdaptiveConcurrencyFuture<F, M> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(permit) = this.project().permit.take() {
                permit.cancelled(runtime::now());
            }
        }
    }
}

impl<F, M, R, E> Future for AdaptiveConcurrencyFuture<F, M>
where
    F: Future<Output = Result<R, E>>,
    M: Refuse<R, E>,
{
    type Output = Result<R, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(M::refuse(&Refusal::BUSY, *this.protocol));
        };
        let done = ready!(inner.poll(cx));
        if let Some(permit) = this.permit.take() {
            match done {
                Ok(_) => permit.done(runtime::now()),
                // Quick failures do not make a server quick.
                Err(_) => permit.cancelled(runtime::now()),
            }
        }
        Poll::Ready(done.map_err(M::pass))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, StatusCode};
    use mesh_core::concurrency::{Aimd, Fixed, Shares};
    use tower::ServiceExt;

    use super::*;
    use crate::error::Error;
    use crate::layer::contract::{self, Strict};

    const SECOND: Duration = Duration::from_secs(1);

    fn request(criticality: &str, content_type: &str) -> Request<String> {
        let request = Request::builder().header("x-mesh-criticality", criticality);
        request.header("content-type", content_type).body(String::new()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_follows_how_long_requests_take() {
        let mut aimd = Aimd::new(SECOND);
        aimd.initial = 10;
        let layer = AdaptiveConcurrencyLayer::by(Limiter::new(aimd));
        for (takes, limit) in [(SECOND / 2, 11), (SECOND * 2, 9)] {
            let service = layer.layer(Strict::slow(takes));
            let all = (0..10).map(|_| tokio::spawn(service.clone().oneshot(request("", ""))));
            for response in all.collect::<Vec<_>>() {
                assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::OK);
            }
            assert_eq!(layer.limiter().limit(), limit);
        }
        // Nobody waits for the answer, which does not come.
        let service = layer.layer(Strict::slow(SECOND * 99));
        let all = (0..9)
            .map(|_| tokio::time::timeout(SECOND * 3, service.clone().oneshot(request("", ""))));
        for response in all.map(tokio::spawn).collect::<Vec<_>>() {
            assert!(response.await.unwrap().is_err());
        }
        drop(layer.limiter().admit(
            Default::default(),
            runtime::now(),
            &mut mesh_core::rng::XorShift::new(1),
        ));
        assert_eq!((layer.limiter().limit(), layer.limiter().in_flight()), (9, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_less_critical_are_refused_first_if_their_word_counts() {
        let limiter = Limiter::shedding(Fixed(4), Shares::default());
        let heard = AdaptiveConcurrencyLayer::by(limiter.clone()).obey_callers();
        let unheard = AdaptiveConcurrencyLayer::by(limiter);
        let strict = Strict::slow(SECOND);
        let start = |layer: &AdaptiveConcurrencyLayer, criticality| {
            let service = layer.layer(strict.clone());
            tokio::spawn(service.oneshot(request(criticality, "application/grpc")))
        };
        let held = [start(&heard, "sheddable"), start(&heard, "sheddable")];
        let shed = start(&heard, "sheddable").await.unwrap().unwrap();
        assert_eq!(shed.headers()["grpc-status"], "14");
        assert!(start(&unheard, "sheddable").await.unwrap().unwrap().headers().is_empty());
        for response in held {
            assert!(response.await.unwrap().unwrap().headers().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_errors_where_that_is_wanted() {
        let layer = AdaptiveConcurrencyLayer::by(Limiter::new(Fixed(0))).or_error();
        let error = layer.layer(Strict::slow(SECOND)).oneshot(request("", "")).await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_request_gives_its_place_back() {
        let layer = AdaptiveConcurrencyLayer::by(Limiter::new(Fixed(1)));
        let service = layer.layer(Strict::slow(SECOND));
        for _ in 0..3 {
            let future = service.clone().oneshot(request("", ""));
            assert!(tokio::time::timeout(SECOND / 2, future).await.is_err());
            assert_eq!(layer.limiter().in_flight(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_called_ready_and_dropped_requests_are_gone() {
        contract::check(|strict| AdaptiveConcurrencyLayer::new().layer(strict)).await;
    }
}
