use std::marker::PhantomData;

use mesh_core::breaker::{Admission, Breaker as State, Config};
use mesh_core::classify::Class;
use mesh_core::request::Protocol;
use tower_layer::Layer;

use crate::layer::judged::sealed::Sealed;
use crate::layer::judged::{By, Errors, Gate, Grpc, Http, Judged, Told};
use crate::layer::refusal::{Fail, Refusal, Respond};
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
    type Service = Judged<S, State, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Judged::new(inner, self.state.clone(), self.judge.clone())
    }
}

impl Sealed for State {}

impl Gate for State {
    fn admit(&self, _: Protocol) -> Result<Told, &'static Refusal> {
        // By its path, as this method has the same name.
        match State::admit(self, runtime::now()) {
            Admission::Pass(pass) => Ok(Told::breaker(pass, false)),
            Admission::Probe(pass) => Ok(Told::breaker(pass, true)),
            Admission::Refuse { .. } => Err(&Refusal::BROKEN),
        }
    }
}
