use std::any::Any;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use mesh_core::breaker::{Admission, Breaker as State, Config};
use mesh_core::classify::Class;
use tower_layer::Layer;
use tower_service::Service;

use crate::layer::judged::{By, Errors, Grpc, Http, Judge, JudgedFuture, Told};
use crate::layer::refusal::{Fail, Look, Refusal, Refuse, Respond};
use crate::runtime;

/// Leaves a server alone that fails: refuses requests for a while, then lets one at a time find out
/// whether the server is well again.
///
/// By default five failures in a row are too many, and the waits are 1 s to 30 s, or as long as the
/// server asks for (`Retry-After`, `grpc-retry-pushback-ms`). Refused requests are answered with 503
/// or UNAVAILABLE. All services that one layer makes share its breaker.
///
/// # Examples
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use mesh_hyper::layer::BreakerLayer;
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let failing = service_fn(|_: Request<()>| async { Err::<Response<()>, BoxError>("no".into()) });
/// let service = BreakerLayer::http().layer(failing);
/// for _ in 0..5 {
///     assert!(service.clone().oneshot(Request::new(())).await.is_err());
/// }
/// // From now on the server is not asked.
/// let response = service.oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BreakerLayer<C = Http, M = Respond> {
    state: State,
    judge: C,
    mode: PhantomData<M>,
}

impl BreakerLayer {
    /// Failures are errors, and HTTP statuses of 500 and above.
    #[must_use]
    pub fn http() -> Self {
        Self::by(Http)
    }
}

impl BreakerLayer<Grpc> {
    /// Failures are errors, and gRPC codes that blame the server: DEADLINE_EXCEEDED,
    /// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
    ///
    /// The code is read from the trailers where it is not in the head; of a probe, the first message
    /// is good enough.
    #[must_use]
    pub fn grpc() -> Self {
        Self::by(Grpc)
    }
}

impl BreakerLayer<Errors> {
    /// Failures are errors, whatever responses are.
    #[must_use]
    pub fn errors() -> Self {
        Self::by(Errors)
    }
}

impl<F> BreakerLayer<By<F>> {
    /// Failures are errors, and the responses that `classify` says are.
    #[must_use]
    pub fn classify<R>(classify: F) -> Self
    where
        F: Fn(&R) -> Class,
    {
        Self::by(By(classify))
    }
}

impl<C> BreakerLayer<C> {
    fn by(judge: C) -> Self {
        Self { state: State::new(Config::default()), judge, mode: PhantomData }
    }

    /// Fails requests that are refused instead of answering them.
    #[must_use]
    pub fn or_error(self) -> BreakerLayer<C, Fail> {
        BreakerLayer { state: self.state, judge: self.judge, mode: PhantomData }
    }
}

impl<C, M> BreakerLayer<C, M> {
    /// Refuses when `breaker` does, which others may share.
    #[must_use]
    pub fn breaker(mut self, breaker: State) -> Self {
        self.state = breaker;
        self
    }
}

impl<S, C: Clone, M> Layer<S> for BreakerLayer<C, M> {
    type Service = Breaker<S, C, M>;

    fn layer(&self, inner: S) -> Breaker<S, C, M> {
        Breaker { inner, state: self.state.clone(), judge: self.judge.clone(), mode: PhantomData }
    }
}

/// A service that is left alone while it fails. Made by [`BreakerLayer`].
#[derive(Clone, Debug)]
pub struct Breaker<S, C = Http, M = Respond> {
    inner: S,
    state: State,
    judge: C,
    mode: PhantomData<M>,
}

impl<S, Q, C, M> Service<Q> for Breaker<S, C, M>
where
    S: Service<Q>,
    S::Error: Any,
    C: Judge<S::Response> + Clone,
    M: Look<Q> + Refuse<C::Response, S::Error>,
{
    type Response = C::Response;
    type Error = M::Error;
    type Future = JudgedFuture<S::Future, C, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> Self::Future {
        let told = match self.state.admit(runtime::now()) {
            Admission::Pass(pass) => Told::breaker(pass, false),
            Admission::Probe(pass) => Told::breaker(pass, true),
            Admission::Refuse { .. } => {
                let protocol = M::protocol(&mut request);
                return JudgedFuture::refused(&Refusal::BROKEN, protocol, self.judge.clone());
            }
        };
        JudgedFuture::sent(self.inner.call(request), self.judge.clone(), told)
    }
}
