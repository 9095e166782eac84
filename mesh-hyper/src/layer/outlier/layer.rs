use std::marker::PhantomData;
use std::sync::Arc;

use http::StatusCode;
use mesh_core::classify::Class;
use mesh_core::outlier::Local;
use mesh_core::request::Protocol;
use tower_layer::Layer;

use super::group::Member;
use crate::layer::judged::sealed::Sealed;
use crate::layer::judged::{ByStatus, Errors, Gate, Judged, Told};
use crate::layer::refusal::{Fail, Refusal, Respond};

/// Refuses requests to one endpoint while it is ejected for doing worse than others. Made by
/// [`Outliers::endpoint`](super::Outliers::endpoint).
///
/// HTTP answers of 500 and above and errors are failures, by Envoy's rules; gRPC answers are judged
/// by their status, by those of gRFC A50: all but OK are failures. It is read from the trailers
/// where it is not in the head; an answer that is not read to its end says nothing.
#[derive(Clone, Debug)]
pub struct OutlierLayer<C = ByStatus, M = Respond> {
    endpoint: Endpoint,
    judge: C,
    mode: PhantomData<M>,
}

impl OutlierLayer {
    pub(super) fn new(member: Arc<Member>) -> Self {
        Self { endpoint: Endpoint(member), judge: ByStatus, mode: PhantomData }
    }

    /// Fails requests instead of answering them.
    #[must_use]
    pub fn or_error(self) -> OutlierLayer<ByStatus, Fail> {
        OutlierLayer { endpoint: self.endpoint, judge: self.judge, mode: PhantomData }
    }
}

impl OutlierLayer<ByStatus, Fail> {
    /// Takes every response for a good one, whatever it is, so that errors alone are failures.
    #[must_use]
    pub fn errors(self) -> OutlierLayer<Errors, Fail> {
        OutlierLayer { endpoint: self.endpoint, judge: Errors, mode: PhantomData }
    }
}

impl<C, M> OutlierLayer<C, M> {
    /// Whether the endpoint is refused now.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.endpoint.0.is_ejected()
    }
}

impl<S, C: Clone, M> Layer<S> for OutlierLayer<C, M> {
    type Service = Judged<S, Endpoint, C, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Judged::new(inner, self.endpoint.clone(), self.judge.clone())
    }
}

/// One of several endpoints, which is refused while it does worse than the others.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Member>);

impl Sealed for Endpoint {}

impl Gate for Endpoint {
    fn admit(&self, protocol: Protocol) -> Result<Told, &'static Refusal> {
        if self.0.is_ejected() {
            return Err(&Refusal::EJECTED);
        }
        if protocol == Protocol::Http {
            self.0.count(|counter| {
                counter.sent();
                false
            });
        }
        Ok(Told::outlier(Trial { member: self.0.clone(), protocol }))
    }
}

/// A request to an endpoint.
#[derive(Debug)]
pub(crate) struct Trial {
    member: Arc<Member>,
    protocol: Protocol,
}

impl Trial {
    /// The head of an answer of HTTP has come.
    pub(crate) fn answered(self, status: StatusCode) {
        self.member.count(|counter| counter.answered(status.as_u16()));
    }

    /// A call of gRPC has ended.
    pub(crate) fn called(self, class: Class) {
        self.member.count(|counter| {
            counter.ended(class);
            false
        });
    }

    /// It has ended, and there is no more to tell than this.
    pub(crate) fn ended(self, class: Class) {
        match (self.protocol, class) {
            (Protocol::Grpc, _) => self.called(class),
            (_, Class::Good) => self.answered(StatusCode::OK),
            (_, Class::Bad) => self.member.count(|counter| counter.failed(Local::Broke)),
        }
    }
}
