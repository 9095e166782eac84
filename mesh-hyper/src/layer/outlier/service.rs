use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use mesh_core::classify::{Class, Failure};
use mesh_core::outlier::Local;
use mesh_core::request::{Protocol, is_grpc};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::group::Member;
use crate::layer::failure;
use crate::layer::refusal::{Fail, Look, Refusal, Refuse, Respond};

/// Refuses requests to one endpoint while it is ejected for doing worse than others. Made by
/// [`Outliers::endpoint`](super::Outliers::endpoint).
///
/// HTTP answers of 500 and above and errors are failures, by Envoy's rules; gRPC answers are judged
/// by their status as far as it is in the header fields, by those of gRFC A50.
pub struct OutlierLayer<M = Respond, J = ByStatus> {
    member: Arc<Member>,
    mode: PhantomData<(M, J)>,
}

impl OutlierLayer {
    pub(super) fn new(member: Arc<Member>) -> Self {
        Self { member, mode: PhantomData }
    }

    /// Fails requests instead of answering them.
    #[must_use]
    pub fn or_error(self) -> OutlierLayer<Fail> {
        OutlierLayer { member: self.member, mode: PhantomData }
    }
}

impl OutlierLayer<Fail> {
    /// Takes every response for a good one, whatever it is, so that errors alone are failures.
    #[must_use]
    pub fn errors(self) -> OutlierLayer<Fail, AnyResponse> {
        OutlierLayer { member: self.member, mode: PhantomData }
    }
}

impl<M, J> OutlierLayer<M, J> {
    /// Whether the endpoint is refused now.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.member.is_ejected()
    }
}

impl<S, M, J> Layer<S> for OutlierLayer<M, J> {
    type Service = Outlier<S, M, J>;

    fn layer(&self, inner: S) -> Outlier<S, M, J> {
        Outlier { inner, member: self.member.clone(), mode: PhantomData }
    }
}

/// The service of an endpoint that is refused while it does worse than others. Made by
/// [`OutlierLayer`].
pub struct Outlier<S, M = Respond, J = ByStatus> {
    inner: S,
    member: Arc<Member>,
    mode: PhantomData<(M, J)>,
}

impl<S, Q, M, J> Service<Q> for Outlier<S, M, J>
where
    S: Service<Q>,
    S::Error: Any,
    M: Look<Q> + Refuse<S::Response, S::Error>,
    J: HeadOf<S::Response>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = OutlierFuture<S::Future, M, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> Self::Future {
        let protocol = M::protocol(&mut request);
        let inner = if self.member.is_ejected() {
            None
        } else {
            if protocol == Protocol::Http {
                self.member.count(|counter| {
                    counter.sent();
                    false
                });
            }
            Some(self.inner.call(request))
        };
        OutlierFuture { inner, member: self.member.clone(), protocol, mode: PhantomData }
    }
}

pin_project! {
    /// A response, or the refusal of an endpoint that is ejected.
    ///
    /// # Cancel safety
    /// Dropping it drops the request, which then says nothing of the endpoint.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct OutlierFuture<F, M, J> {
        #[pin]
        inner: Option<F>,
        member: Arc<Member>,
        protocol: Protocol,
        mode: PhantomData<(M, J)>,
    }
}

impl<F, M, J, R, E> Future for OutlierFuture<F, M, J>
where
    F: Future<Output = Result<R, E>>,
    E: Any,
    M: Refuse<R, E>,
    J: HeadOf<R>,
{
    type Output = Result<R, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(M::refuse(&Refusal::EJECTED, *this.protocol));
        };
        let done = ready!(inner.poll(cx));
        this.member.count(|counter| match (&done, *this.protocol) {
            (Ok(response), _) => {
                let (status, headers) = J::head(response);
                match headers.and_then(|headers| headers.get(CONTENT_TYPE)) {
                    Some(value) if is_grpc(value.as_bytes()) => {
                        let code = headers.and_then(|headers| headers.get("grpc-status"));
                        let is_ok = code.is_none_or(|code| code.as_bytes() == b"0");
                        counter.ended(if is_ok { Class::Good } else { Class::Bad });
                        false
                    }
                    _ => counter.answered(status.as_u16()),
                }
            }
            // What a limit of our own turns away says nothing of the endpoint.
            (Err(error), _) if failure::of(error) == Failure::Overflow => false,
            (Err(_), Protocol::Grpc) => {
                counter.ended(Class::Bad);
                false
            }
            (Err(_), _) => counter.failed(Local::Broke),
        });
        Poll::Ready(done.map_err(M::pass))
    }
}

/// Judges responses by their status: HTTP's, or gRPC's where the response is gRPC's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByStatus;

/// Takes every response for a good one.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyResponse;

/// What a layer looks at of responses `R`: [`ByStatus`] or [`AnyResponse`]. Sealed.
pub trait HeadOf<R>: sealed::Sealed {
    /// The status and the header fields, if there are any.
    fn head(response: &R) -> (StatusCode, Option<&HeaderMap>);
}

impl<B> HeadOf<Response<B>> for ByStatus {
    fn head(response: &Response<B>) -> (StatusCode, Option<&HeaderMap>) {
        (response.status(), Some(response.headers()))
    }
}

impl<R> HeadOf<R> for AnyResponse {
    fn head(_: &R) -> (StatusCode, Option<&HeaderMap>) {
        (StatusCode::OK, None)
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait above")]
    pub trait Sealed {}

    impl Sealed for super::ByStatus {}
    impl Sealed for super::AnyResponse {}
}

impl<M, J> Clone for OutlierLayer<M, J> {
    fn clone(&self) -> Self {
        Self { member: self.member.clone(), mode: PhantomData }
    }
}

impl<M, J> fmt::Debug for OutlierLayer<M, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutlierLayer").field("member", &self.member).finish()
    }
}

impl<S: Clone, M, J> Clone for Outlier<S, M, J> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), member: self.member.clone(), mode: PhantomData }
    }
}

impl<S: fmt::Debug, M, J> fmt::Debug for Outlier<S, M, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlier").field("inner", &self.inner).field("member", &self.member).finish()
    }
}
