use std::any::Any;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use mesh_core::request::Protocol;
use tower_service::Service;

use super::future::JudgedFuture;
use super::judge::Judge;
use super::told::Told;
use crate::layer::refusal::{Look, Refusal, Refuse};

/// Who lets requests pass, and learns from how they end: a breaker, admission control, or one of
/// several endpoints. Sealed.
pub trait Gate: Clone + sealed::Sealed {
    /// Lets a request pass, and says who is to be told how it ends.
    ///
    /// # Errors
    /// What is said instead.
    fn admit(&self, protocol: Protocol) -> Result<Told, &'static Refusal>;
}

/// A service that is left alone when its gate says so. Made by
/// [`BreakerLayer`](crate::layer::BreakerLayer), [`AdmissionLayer`](crate::layer::AdmissionLayer) and
/// [`OutlierLayer`](crate::layer::OutlierLayer).
#[derive(Clone, Debug)]
pub struct Judged<S, G, C, M> {
    inner: S,
    gate: G,
    judge: C,
    mode: PhantomData<M>,
}

impl<S, G, C, M> Judged<S, G, C, M> {
    pub(crate) fn new(inner: S, gate: G, judge: C) -> Self {
        Self { inner, gate, judge, mode: PhantomData }
    }
}

impl<S, Q, G, C, M> Service<Q> for Judged<S, G, C, M>
where
    S: Service<Q>,
    S::Error: Any,
    G: Gate,
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
        let protocol = M::protocol(&mut request);
        match self.gate.admit(protocol) {
            Ok(told) => JudgedFuture::sent(self.inner.call(request), self.judge.clone(), told),
            Err(refusal) => JudgedFuture::refused(refusal, protocol, self.judge.clone()),
        }
    }
}

pub(crate) mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait above")]
    pub trait Sealed {}
}
