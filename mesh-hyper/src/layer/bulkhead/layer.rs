use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::concurrency::{Fixed, Limiter, Shares};
use tower_layer::Layer;
use tower_service::Service;

use super::future::BulkheadFuture;
use super::queue::{Answer, Queue};
use crate::layer::matter::{Callers, criticality};
use crate::layer::refusal::{Fail, Look, Refuse, Respond};
use crate::runtime;

/// Bounds the requests under way, and those that wait until they may be.
///
/// What is behind it has so much to do and never more, and the rest of the process goes on as if
/// nothing were. Requests that find no place, or have waited too long, are answered with 503 or
/// RESOURCE_EXHAUSTED. A request is under way until the head of its response is there. All services
/// that one layer makes share its places.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use mesh_hyper::layer::BulkheadLayer;
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let slow = service_fn(|_: Request<()>| async {
///     tokio::time::sleep(Duration::from_secs(2)).await;
///     Ok::<_, BoxError>(Response::new(()))
/// });
/// let layer = BulkheadLayer::new(1).queue(1, Duration::from_secs(3));
/// let ask = || layer.layer(slow.clone()).oneshot(Request::new(()));
/// let (first, second, third) = tokio::join!(ask(), ask(), ask());
/// assert_eq!(first.unwrap().status(), StatusCode::OK);
/// assert_eq!(second.unwrap().status(), StatusCode::OK);
/// assert_eq!(third.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BulkheadLayer<M = Respond> {
    queue: Arc<Queue>,
    settings: Settings,
    mode: PhantomData<M>,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    limit: u32,
    length: usize,
    patience: Duration,
    shares: Option<Shares>,
    callers: Callers,
}

impl BulkheadLayer {
    /// At most `limit` requests at once; none waits.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self::of(Settings {
            limit,
            length: 0,
            patience: Duration::ZERO,
            shares: None,
            callers: Callers::Unheard,
        })
    }

    /// Fails requests that are refused instead of answering them.
    #[must_use]
    pub fn or_error(self) -> BulkheadLayer<Fail> {
        BulkheadLayer { queue: self.queue, settings: self.settings, mode: PhantomData }
    }
}

impl<M> BulkheadLayer<M> {
    fn of(settings: Settings) -> Self {
        let Settings { limit, length, shares, .. } = settings;
        let limiter = match shares {
            Some(shares) => Limiter::shedding(Fixed(limit), shares),
            None => Limiter::new(Fixed(limit)),
        };
        Self { queue: Arc::new(Queue::new(limiter, length)), settings, mode: PhantomData }
    }

    /// Lets up to `length` requests wait, for `patience` at the most.
    #[must_use]
    pub fn queue(self, length: usize, patience: Duration) -> Self {
        Self::of(Settings { length, patience, ..self.settings })
    }

    /// Lets less critical requests use only a part of the limit. Of those that wait, the most
    /// critical are always the first.
    #[must_use]
    pub fn shed(self, shares: Shares) -> Self {
        Self::of(Settings { shares: Some(shares), ..self.settings })
    }

    /// Outside of servers of the mesh, takes the word of requests for how much they matter
    /// (`x-mesh-criticality`), where they have header fields to look at. For callers who are
    /// trusted.
    #[must_use]
    pub fn obey_callers(mut self) -> Self {
        self.settings.callers = Callers::Obeyed;
        self
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.queue.limiter().in_flight()
    }
}

impl<S, M> Layer<S> for BulkheadLayer<M> {
    type Service = Bulkhead<S, M>;

    fn layer(&self, inner: S) -> Bulkhead<S, M> {
        let Settings { patience, callers, .. } = self.settings;
        Bulkhead { inner, queue: self.queue.clone(), patience, callers, mode: PhantomData }
    }
}

/// A service that gets only so much to do. Made by [`BulkheadLayer`].
#[derive(Clone, Debug)]
pub struct Bulkhead<S, M = Respond> {
    inner: S,
    queue: Arc<Queue>,
    patience: Duration,
    callers: Callers,
    mode: PhantomData<M>,
}

impl<S, Q, M> Service<Q> for Bulkhead<S, M>
where
    S: Service<Q> + Clone,
    M: Look<Q> + Refuse<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = BulkheadFuture<S, Q, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> BulkheadFuture<S, Q, M> {
        let criticality = criticality(self.callers, M::headers(&mut request));
        match self.queue.enter(criticality) {
            Answer::Go(place) => BulkheadFuture::sent(self.inner.call(request), place),
            Answer::Full => BulkheadFuture::refused(M::protocol(&mut request)),
            Answer::Wait(told) => {
                // The future keeps the service that is ready; its clone is made ready by the next
                // call.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                let protocol = M::protocol(&mut request);
                let until = runtime::after(self.patience);
                BulkheadFuture::waiting(ready, request, told, until).speaking(protocol)
            }
        }
    }
}
