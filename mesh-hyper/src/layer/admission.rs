use std::marker::PhantomData;

use mesh_core::admission::{Admission as State, Config};
use mesh_core::classify::Class;
use mesh_core::request::Protocol;
use tower_layer::Layer;

use super::judged::sealed::Sealed;
use super::judged::{By, Errors, Gate, Grpc, Http, Judged, Told};
use super::refusal::{Fail, Refusal, Respond};
use crate::runtime;

/// Refuses a part of the requests while too few of them succeed, as Envoy's `admission_control` does.
///
/// By default less than 95 % of the last 30 s are too few, and four in five requests are the most
/// that are refused. They are answered with 503 or UNAVAILABLE. All services that one layer makes
/// share what it knows.
///
/// # Examples
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use mesh_hyper::layer::AdmissionLayer;
/// use tower::{BoxError, Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let well = service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new(())) });
/// let service = AdmissionLayer::http().layer(well);
/// for _ in 0..9 {
///     let response = service.clone().oneshot(Request::new(())).await.unwrap();
///     assert_eq!(response.status(), StatusCode::OK);
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AdmissionLayer<C = Http, M = Respond> {
    state: State,
    judge: C,
    mode: PhantomData<M>,
}

impl AdmissionLayer {
    /// Failures are errors, and HTTP statuses of 500 and above.
    #[must_use]
    pub fn http() -> Self {
        Self::by(Http)
    }
}

impl AdmissionLayer<Grpc> {
    /// Failures are errors, and gRPC codes that blame the server: DEADLINE_EXCEEDED,
    /// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
    #[must_use]
    pub fn grpc() -> Self {
        Self::by(Grpc)
    }
}

impl AdmissionLayer<Errors> {
    /// Failures are errors, whatever responses are.
    #[must_use]
    pub fn errors() -> Self {
        Self::by(Errors)
    }
}

impl<F> AdmissionLayer<By<F>> {
    /// Failures are errors, and the responses that `classify` says are.
    #[must_use]
    pub fn classify<R>(classify: F) -> Self
    where
        F: Fn(&R) -> Class,
    {
        Self::by(By(classify))
    }
}

impl<C> AdmissionLayer<C> {
    fn by(judge: C) -> Self {
        Self { state: State::new(Config::default()), judge, mode: PhantomData }
    }

    /// Fails requests that are refused instead of answering them.
    #[must_use]
    pub fn or_error(self) -> AdmissionLayer<C, Fail> {
        AdmissionLayer { state: self.state, judge: self.judge, mode: PhantomData }
    }
}

impl<C, M> AdmissionLayer<C, M> {
    /// Refuses when `admission` does, which others may share.
    #[must_use]
    pub fn admission(mut self, admission: State) -> Self {
        self.state = admission;
        self
    }
}

impl<S, C: Clone, M> Layer<S> for AdmissionLayer<C, M> {
    type Service = Judged<S, State, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Judged::new(inner, self.state.clone(), self.judge.clone())
    }
}

impl Sealed for State {}

impl Gate for State {
    fn admit(&self, _: Protocol) -> Result<Told, &'static Refusal> {
        let now = runtime::now();
        // By its path, as this method has the same name.
        let admitted = runtime::with_rng(|rng| State::admit(self, now, rng));
        admitted.map(|_| Told::admission(self.clone())).map_err(|_| &Refusal::FAILING)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::error::Error;
    use crate::layer::contract::{self, Play, Strict};

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_gets_a_part_of_the_requests_until_it_is_well() {
        let mut config = Config::default();
        (config.most, config.window) = (1.0, Duration::from_secs(5));
        let state = State::new(config);
        (0..1_000_000).for_each(|_| state.record(Class::Bad, runtime::now()));
        let strict = Strict::new([Play::status(503), Play::status(200)]);
        let service = AdmissionLayer::http().admission(state).layer(strict.clone());
        let ask = || service.clone().oneshot(Request::new(String::new()));
        for _ in 0..9 {
            assert_eq!(ask().await.unwrap().status(), 503);
        }
        // Nobody could be so lucky.
        assert_eq!(strict.seen().len(), 0);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(ask().await.unwrap().status(), 503);
        assert_eq!(strict.seen().len(), 1);
        tokio::time::advance(Duration::from_secs(6)).await;
        for _ in 0..9 {
            assert_eq!(ask().await.unwrap().status(), 200);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_errors_where_that_is_wanted() {
        let mut config = Config::default();
        config.most = 1.0;
        let state = State::new(config);
        (0..1_000_000).for_each(|_| state.record(Class::Bad, runtime::now()));
        let service = AdmissionLayer::errors().admission(state).or_error();
        let service = service.layer(Strict::new([Play::status(200)]));
        let error = service.oneshot(Request::new(String::new())).await.unwrap_err();
        assert!(error.downcast_ref::<Error>().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_called_ready_and_dropped_requests_are_gone() {
        contract::check(|strict| AdmissionLayer::http().layer(strict)).await;
    }
}
