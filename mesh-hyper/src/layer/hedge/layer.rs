use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::classify::Classifier;
use mesh_core::hedge::{Allowance, Delay, Latencies, Policy};
use tower_layer::Layer;
use tower_service::Service;

use super::future::HedgeFuture;
use crate::error::BoxError;
use crate::layer::Replay;
use crate::runtime;

/// Sends a request a second time when its answer takes too long; the first good answer wins.
///
/// For requests with a safe method, and for those that carry [`Safe`](crate::layer::Safe) in their
/// extensions. A twentieth of all requests can be sent a second time, and ten are saved up. Only
/// requests whose body is there at once, up to 64 KiB, are.
///
/// Services below get the body as a [`Replay`], and are cloned for the second attempt.
///
/// # Examples
///
/// ```
/// use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering}, sync::Arc, time::Duration};
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use mesh_hyper::layer::{HedgeLayer, Replay};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let attempts = Arc::new(AtomicU32::new(0));
/// let first_is_slow = service_fn(move |_: Request<Replay<Empty<_>>>| {
///     let wait = if attempts.fetch_add(1, Ordering::Relaxed) == 0 { 9 } else { 0 };
///     async move {
///         tokio::time::sleep(Duration::from_secs(wait)).await;
///         Ok::<_, Infallible>(Response::new(wait))
///     }
/// });
/// let layer = HedgeLayer::after(Duration::from_millis(50));
/// let service = ServiceBuilder::new().layer(layer).service(first_is_slow);
/// let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
/// assert_eq!(*response.body(), 0);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HedgeLayer {
    settings: Settings,
}

/// What all calls share.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) classifier: Classifier,
    pub(super) allowance: Arc<Allowance>,
    pub(super) latencies: Arc<Latencies>,
    pub(super) max_body: usize,
}

impl HedgeLayer {
    /// Sends requests again that have no answer after `delay`.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self::new(Policy::new(Delay::After(delay)))
    }

    /// Sends requests again that take longer than this share of those of the last minute, such as
    /// 0.95. None are until fifty have been answered.
    #[must_use]
    pub fn percentile(share: f64) -> Self {
        Self::new(Policy::new(Delay::Percentile(share)))
    }

    /// By a policy of your own.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        const WINDOW: Duration = Duration::from_secs(60);
        const MAX_BODY: usize = 64 * 1024;
        let settings = Settings {
            policy,
            classifier: Classifier::Http,
            allowance: Arc::default(),
            latencies: Arc::new(Latencies::new(WINDOW, runtime::now())),
            max_body: MAX_BODY,
        };
        Self { settings }
    }

    /// Tells good answers from bad ones otherwise than by HTTP statuses below 500.
    #[must_use]
    pub fn classify(mut self, classifier: Classifier) -> Self {
        self.settings.classifier = classifier;
        self
    }

    /// What it may cost. Default: 5 % of all requests, ten saved up.
    #[must_use]
    pub fn allowance(mut self, allowance: Allowance) -> Self {
        self.settings.allowance = Arc::new(allowance);
        self
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge { inner, settings: Arc::new(self.settings.clone()) }
    }
}

/// A service whose slow requests are sent a second time. Made by [`HedgeLayer`].
#[derive(Clone, Debug)]
pub struct Hedge<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, B, R> Service<Request<B>> for Hedge<S>
where
    S: Service<Request<Replay<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Any,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HedgeFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> HedgeFuture<S, B> {
        // The future keeps the service that is ready; its clone is made ready by the next call.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        HedgeFuture::new(ready, self.settings.clone(), request)
    }
}
