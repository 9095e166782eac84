use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::retry::{
    Budget, Conditions, Counted, Dialect, Limit, Methods, OfRetries, Policy, Throttle,
};
use tower_layer::Layer;
use tower_service::Service;

use super::future::RetryFuture;
use crate::error::BoxError;
use crate::layer::Replay;
use crate::layer::refusal::{Fail, Refuse, Respond};

/// Sends requests again that have failed.
///
/// Never more than a fifth of the requests under way are such (and three where there are few), nor of
/// those of the last five to ten seconds (and thirty where there are few), so that a server in trouble
/// has not several times as much to do ([`Limit::Share`]). Request bodies are kept up
/// to 64 KiB; a longer one is sent once. Nothing is sent again once the head of a response has been
/// passed on.
///
/// Services below get the body as a [`Replay`]; errors of theirs that are not known count as a
/// connection that broke, which may have carried the request out.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Empty;
/// use mesh_hyper::layer::{Replay, RetryLayer};
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let attempts = AtomicU32::new(0);
/// let failing = service_fn(|_: Request<Replay<Empty<_>>>| async {
///     attempts.fetch_add(1, Ordering::Relaxed);
///     let mut response = Response::new(());
///     *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
///     Ok::<_, BoxError>(response)
/// });
/// let service = ServiceBuilder::new().layer(RetryLayer::http(2)).service(failing);
/// let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
/// assert_eq!((response.status().as_u16(), attempts.into_inner()), (503, 3));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer<M = Respond> {
    settings: Settings,
    mode: PhantomData<M>,
}

/// What all calls share.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: Arc<Policy>,
    pub(super) dialect: Dialect,
    pub(super) budget: Arc<Budget>,
    pub(super) limit: Limit,
    pub(super) throttle: Option<Arc<Throttle>>,
    pub(super) counted: Counted,
    pub(super) callers: Callers,
    pub(super) max_body: usize,
}

/// Whether the callers' word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    Unheard,
    Obeyed,
}

impl RetryLayer {
    /// For HTTP, up to `times`: when there is no answer, or 502, 503 or 504.
    ///
    /// A request whose method is not idempotent (RFC 9110 §9.2.2) is sent again only if no server
    /// can have carried it out.
    #[must_use]
    pub fn http(times: u32) -> Self {
        let mut policy = Policy::new(Conditions::GATEWAY_ERROR).num_retries(times);
        policy.methods = Methods::Idempotent;
        Self::new(policy, Dialect::Envoy)
    }

    /// For gRPC, up to `times` but four at the most: when the answer is UNAVAILABLE (gRFC A6).
    #[must_use]
    pub fn grpc(times: u32) -> Self {
        Self::new(Policy::new(Conditions::UNAVAILABLE).num_retries(times), Dialect::Grpc)
    }

    /// By a policy of your own, in whichever dialect. A layer does not see bytes go by, and chooses no
    /// endpoint: [`per_try_idle_timeout`](Policy::per_try_idle_timeout) and
    /// [`hosts`](Policy::hosts) mean nothing to it.
    #[must_use]
    pub fn new(policy: Policy, dialect: Dialect) -> Self {
        /// Linkerd's bound as well; a retry is for small requests.
        const MAX_BODY: usize = 64 * 1024;
        let settings = Settings {
            policy: Arc::new(policy),
            dialect,
            budget: Arc::default(),
            limit: Limit::default(),
            throttle: None,
            counted: Counted::Plain,
            callers: Callers::Unheard,
            max_body: MAX_BODY,
        };
        Self { settings, mode: PhantomData }
    }

    /// Fails requests whose last attempt has taken too long, instead of answering them.
    #[must_use]
    pub fn or_error(self) -> RetryLayer<Fail> {
        RetryLayer { settings: self.settings, mode: PhantomData }
    }
}

impl<M> RetryLayer<M> {
    /// Another bound on the retries than 20 % and three.
    #[must_use]
    pub fn budget(mut self, limit: Limit) -> Self {
        self.settings.limit = limit;
        self
    }

    /// Stops retries while too many requests fail, besides the budget (gRFC A6). What is behind an
    /// `Arc` can stop hedges too ([`Allowance::throttled`]).
    ///
    /// [`Allowance::throttled`]: mesh_core::hedge::Allowance::throttled
    #[must_use]
    pub fn throttle(mut self, throttle: impl Into<Arc<Throttle>>) -> Self {
        self.settings.throttle = Some(throttle.into());
        self
    }

    /// Keeps request bodies up to `bytes`. Default 64 KiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Does what requests say themselves, by the header fields of Envoy: `x-envoy-retry-on`,
    /// `x-envoy-retry-grpc-on`, `x-envoy-max-retries`, `x-envoy-upstream-rq-timeout-ms`,
    /// `x-envoy-upstream-rq-per-try-timeout-ms`. They are not passed on; the service behind is told
    /// how long it has.
    ///
    /// For callers in this process: what comes from elsewhere decides here how often it is sent.
    #[must_use]
    pub fn obey_callers(mut self) -> Self {
        self.settings.callers = Callers::Obeyed;
        self
    }

    /// Numbers the attempts in `x-envoy-attempt-count`.
    #[must_use]
    pub fn count_attempts(mut self) -> Self {
        self.settings.counted = Counted::Included;
        self
    }

    /// Sends a request once that says of itself, or of the one it is made for, that it is sent
    /// again (`x-envoy-attempt-count` above 1, `grpc-previous-rpc-attempts`).
    ///
    /// In a chain of services their retries then add up in place of multiplying, and a budget that is
    /// a share counts them together ([`OfRetries::Once`]). Retries say that they are, as by
    /// [`count_attempts`](Self::count_attempts).
    #[must_use]
    pub fn once_for_retries(mut self) -> Self {
        Arc::make_mut(&mut self.settings.policy).of_retries = OfRetries::Once;
        self
    }
}

impl<S, M> Layer<S> for RetryLayer<M> {
    type Service = Retry<S, M>;

    fn layer(&self, inner: S) -> Retry<S, M> {
        Retry { inner, settings: Arc::new(self.settings.clone()), mode: PhantomData }
    }
}

/// A service whose requests are sent again. Made by [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S, M = Respond> {
    inner: S,
    settings: Arc<Settings>,
    mode: PhantomData<M>,
}

impl<S, B, R, M> Service<Request<B>> for Retry<S, M>
where
    S: Service<Request<Replay<B>>, Response = Response<R>> + Clone,
    S::Error: Any,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
    M: Refuse<Response<R>, S::Error>,
{
    type Response = Response<R>;
    type Error = M::Error;
    type Future = RetryFuture<S, B, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, request: Request<B>) -> RetryFuture<S, B, M> {
        // The future keeps the service that is ready; its clone is made ready by the next call.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        RetryFuture::new(ready, self.settings.clone(), request)
    }
}
