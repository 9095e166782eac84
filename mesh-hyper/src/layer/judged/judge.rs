use std::fmt;

use http::Response;
use mesh_core::classify::{Class, Outcome};
use mesh_core::request::Protocol;

use super::body::Watched;
use super::told::Told;

/// Good answers have HTTP statuses below 500.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

/// Good answers have gRPC codes that do not blame the server: all but DEADLINE_EXCEEDED,
/// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS. They are looked for in the
/// trailers, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grpc;

/// Answers are judged as gRPC's where their `content-type` says that they are, and as HTTP's
/// otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByStatus;

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

/// Tells good answers `R` from bad ones: [`Http`], [`Grpc`], [`ByStatus`], [`Errors`] or [`By`].
/// Sealed.
pub trait Judge<R>: sealed::Sealed {
    /// What becomes of an answer.
    type Response;

    /// Tells `told` what to think of `response`, now or when it is known.
    fn judge(&self, response: R, told: Told) -> Self::Response;
}

impl<B> Judge<Response<B>> for Http {
    type Response = Response<B>;

    fn judge(&self, response: Response<B>, told: Told) -> Response<B> {
        told.answered(response.status(), response.headers());
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
        told.called(response.status(), response.headers());
        response.map(Watched::told)
    }
}

impl<B> Judge<Response<B>> for ByStatus {
    type Response = Response<Watched<B>>;

    fn judge(&self, response: Response<B>, told: Told) -> Response<Watched<B>> {
        match Protocol::of(response.headers()) {
            Protocol::Grpc => Grpc.judge(response, told),
            Protocol::Http | _ => Http.judge(response, told).map(Watched::told),
        }
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
    impl Sealed for super::ByStatus {}
    impl Sealed for super::Errors {}
    impl<F> Sealed for super::By<F> {}
}
