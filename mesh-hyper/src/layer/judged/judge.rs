use std::fmt;
use std::time::Duration;

use http::Response;
use mesh_core::admission::Admission;
use mesh_core::breaker::{Change, Pass};
use mesh_core::classify::{Class, Classifier, Outcome};

use super::body::Watched;
use crate::runtime;
use crate::transport::trial::wanted;

/// Good answers have HTTP statuses below 500.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

/// Good answers have gRPC codes that do not blame the server: all but DEADLINE_EXCEEDED,
/// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS. They are looked for in the
/// trailers, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grpc;

/// All answers are good, and no error is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors;

/// Good answers are what a function says they are.
#[derive(Clone, Copy, Default)]
pub struct By<F>(pub(crate) F);

impl<F> fmt::Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("By")
    }
}

/// Who is told whether a request ended well.
#[derive(Debug)]
pub struct Told(Hears);

#[derive(Debug)]
enum Hears {
    Breaker { pass: Pass, is_probe: bool },
    Admission(Admission),
}

impl Told {
    pub(crate) fn breaker(pass: Pass, is_probe: bool) -> Self {
        Self(Hears::Breaker { pass, is_probe })
    }

    pub(crate) fn admission(admission: Admission) -> Self {
        Self(Hears::Admission(admission))
    }

    /// Says what came of the request, and how long the server wants to be left alone. Dropping
    /// this instead says that nothing is known.
    pub(crate) fn tell(self, class: Class, retry_after: Option<Duration>) {
        let now = runtime::now();
        match self.0 {
            Hears::Breaker { pass, .. } => {
                match runtime::with_rng(|rng| pass.done(class, retry_after, now, rng)) {
                    Change::None => {}
                    Change::Opened(wait) => tracing::warn!(?wait, "a breaker refuses requests"),
                    Change::Closed => tracing::info!("a breaker lets requests pass again"),
                }
            }
            Hears::Admission(admission) => admission.record(class, now),
        }
    }

    /// Whether others wait for the outcome.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self.0, Hears::Breaker { is_probe: true, .. })
    }
}

/// Tells good answers `R` from bad ones: [`Http`], [`Grpc`], [`Errors`] or [`By`]. Sealed.
pub trait Judge<R>: sealed::Sealed {
    /// What becomes of an answer.
    type Response;

    /// Tells `told` what to think of `response`, now or when it is known.
    fn judge(&self, response: R, told: Told) -> Self::Response;
}

impl<B> Judge<Response<B>> for Http {
    type Response = Response<B>;

    fn judge(&self, response: Response<B>, told: Told) -> Response<B> {
        let class = Classifier::Http.class(&Outcome::answer(response.status(), response.headers()));
        told.tell(class, wanted(response.headers()));
        response
    }
}

impl<B> Judge<Response<B>> for Grpc {
    type Response = Response<Watched<B>>;

    fn judge(&self, response: Response<B>, told: Told) -> Response<Watched<B>> {
        let outcome = Outcome::answer(response.status(), response.headers());
        if outcome.grpc_code().is_none() {
            return response.map(|body| Watched::new(body, told));
        }
        told.tell(Classifier::Grpc.class(&outcome), wanted(response.headers()));
        response.map(Watched::told)
    }
}

impl<R> Judge<R> for Errors {
    type Response = R;

    fn judge(&self, response: R, told: Told) -> R {
        told.tell(Class::Good, None);
        response
    }
}

impl<R, F: Fn(&R) -> Class> Judge<R> for By<F> {
    type Response = R;

    fn judge(&self, response: R, told: Told) -> R {
        told.tell((self.0)(&response), None);
        response
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait above")]
    pub trait Sealed {}

    impl Sealed for super::Http {}
    impl Sealed for super::Grpc {}
    impl Sealed for super::Errors {}
    impl<F> Sealed for super::By<F> {}
}
