//! A rate limit service for tests.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService, RateLimitServiceServer,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::body::Body;
use tonic::codegen::{Body as AnyBody, StdError};
use tonic::{Request, Response, Status};
use tower::Service;

/// A rate limit service (RLS v3) for tests: writes down what it is asked, and refuses what it is
/// told to.
///
/// A tower service of gRPC calls, to be served by whatever stands in for the cluster:
/// `mesh.backend("limiter").serve(limiter.clone())` of `mesh_hyper::testing`, or a tonic server.
/// Refuses nobody until it is told to. Cheap to clone; all clones are one service.
///
/// # Examples
///
/// ```
/// use mesh_xds::testing::RateLimiter;
///
/// let limiter = RateLimiter::new();
/// // Two requests of this user pass, and no more.
/// limiter.limit([("user", "gold")], 2);
/// assert!(limiter.requests().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct RateLimiter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<LimitRequest>,
    limits: Vec<(Entries, u32)>,
    is_broken: bool,
}

type Entries = Vec<(String, String)>;

/// What a [`RateLimiter`] was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitRequest {
    /// The domain.
    pub domain: String,
    /// What the request counts as: keys and values of each descriptor.
    pub descriptors: Vec<Vec<(String, String)>>,
    /// How many requests each descriptor counts as, where that was said.
    pub hits: Vec<Option<u64>>,
}

impl RateLimiter {
    /// A service that refuses nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `requests` pass that count as a descriptor of these keys and values, and refuses those
    /// after them.
    pub fn limit<'a>(
        &self,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
        requests: u32,
    ) -> &Self {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let entries = entries.into_iter().map(own).collect();
        self.state().limits.push((entries, requests));
        self
    }

    /// Fails whatever it is asked from now on, as UNAVAILABLE.
    pub fn fail_always(&self) -> &Self {
        self.state().is_broken = true;
        self
    }

    /// Answers again.
    pub fn recover(&self) -> &Self {
        self.state().is_broken = false;
        self
    }

    /// What it was asked, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<LimitRequest> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &RateLimitRequest) -> Result<RateLimitResponse, Status> {
        let mut state = self.state();
        let descriptors: Vec<_> = request.descriptors.iter().map(entries).collect();
        let hits = request.descriptors.iter().map(|it| Some(it.hits_addend?.value)).collect();
        let domain = request.domain.clone();
        state.asked.push(LimitRequest { domain, descriptors: descriptors.clone(), hits });
        if state.is_broken {
            return Err(Status::unavailable("told to fail"));
        }
        let codes: Vec<Code> = descriptors.iter().map(|it| state.take(it)).collect();
        let is_over = codes.contains(&Code::OverLimit);
        let status =
            |code: &Code| DescriptorStatus { code: (*code).into(), ..DescriptorStatus::default() };
        Ok(RateLimitResponse {
            overall_code: if is_over { Code::OverLimit } else { Code::Ok }.into(),
            statuses: codes.iter().map(status).collect(),
            ..RateLimitResponse::default()
        })
    }
}

impl State {
    fn take(&mut self, entries: &Entries) -> Code {
        let Some((_, left)) = self.limits.iter_mut().find(|(own, _)| own == entries) else {
            return Code::Ok;
        };
        match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                Code::Ok
            }
            None => Code::OverLimit,
        }
    }
}

fn entries(descriptor: &RateLimitDescriptor) -> Entries {
    descriptor.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.state().asked.len();
        f.debug_struct("RateLimiter").field("asked", &asked).finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl RateLimitService for RateLimiter {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        self.answer(request.get_ref()).map(Response::new)
    }
}

impl<B> Service<http::Request<B>> for RateLimiter
where
    B: AnyBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Service::call(&mut RateLimitServiceServer::new(self.clone()), request)
    }
}
