//! How a layer says no.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use mesh_core::request::{Protocol, is_grpc};

use crate::client::grpc_head;
use crate::error::{BoxError, Error, Kind};

/// Refuses with a response: the default of every layer.
///
/// The response has no body: gRPC requests get their status in its header fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Respond;

/// Refuses with an error, which is a [`Error`](crate::Error) in a box.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fail;

/// What a layer says when it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// What kind of failure that is; decides the HTTP status.
    pub(crate) kind: Kind,
    /// The gRPC status code.
    pub(crate) grpc: u8,
    /// The same for people.
    pub(crate) why: &'static str,
}

impl Refusal {
    /// The time is over.
    pub(crate) const LATE: Self = Self { kind: Kind::Deadline, grpc: 4, why: "the time is over" };

    /// The endpoint is left alone for a while.
    pub(crate) const EJECTED: Self =
        Self { kind: Kind::NoEndpoint, grpc: 14, why: "the endpoint is ejected as an outlier" };

    fn error(&self) -> Error {
        Error::new(self.kind, self.why)
    }

    fn response(&self, protocol: Protocol) -> Response<()> {
        match protocol {
            Protocol::Grpc => grpc_head(self.grpc, self.why.as_bytes(), HeaderMap::new()).map(drop),
            Protocol::Http | _ => {
                let mut response = Response::new(());
                *response.status_mut() = self.error().status();
                if self.kind == Kind::Overloaded
                    && response.status() == StatusCode::SERVICE_UNAVAILABLE
                {
                    // What Envoy says, so that callers do not send the request again at once.
                    let told = HeaderValue::from_static("true");
                    response.headers_mut().insert("x-envoy-overloaded", told);
                }
                response
            }
        }
    }
}

/// How a layer refuses: [`Respond`] or [`Fail`]. For services that respond with `R` and fail with
/// `E`. Sealed.
pub trait Refuse<R, E>: sealed::Sealed {
    /// What the layered service fails with.
    type Error;

    /// Says no.
    ///
    /// # Errors
    /// If that is how it is said.
    fn refuse(refusal: &Refusal, protocol: Protocol) -> Result<R, Self::Error>;

    /// Passes on an error of the service.
    fn pass(error: E) -> Self::Error;
}

impl<B: Default, E> Refuse<Response<B>, E> for Respond {
    type Error = E;

    fn refuse(refusal: &Refusal, protocol: Protocol) -> Result<Response<B>, E> {
        Ok(refusal.response(protocol).map(|()| B::default()))
    }

    fn pass(error: E) -> E {
        error
    }
}

impl<R, E: Into<BoxError>> Refuse<R, E> for Fail {
    type Error = BoxError;

    fn refuse(refusal: &Refusal, _: Protocol) -> Result<R, BoxError> {
        Err(refusal.error().into())
    }

    fn pass(error: E) -> BoxError {
        error.into()
    }
}

/// What a layer may look at of a request `Q`: its header fields where it refuses with responses,
/// nothing otherwise. Sealed.
pub trait Look<Q>: sealed::Sealed {
    /// The header fields.
    fn headers(request: &mut Q) -> Option<&mut HeaderMap>;

    /// How the request is spoken.
    fn protocol(request: &mut Q) -> Protocol {
        let headers = Self::headers(request);
        match headers.and_then(|headers| headers.get(http::header::CONTENT_TYPE)) {
            Some(value) if is_grpc(value.as_bytes()) => Protocol::Grpc,
            _ => Protocol::Http,
        }
    }
}

impl<B> Look<Request<B>> for Respond {
    fn headers(request: &mut Request<B>) -> Option<&mut HeaderMap> {
        Some(request.headers_mut())
    }
}

impl<Q> Look<Q> for Fail {
    fn headers(_: &mut Q) -> Option<&mut HeaderMap> {
        None
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the traits above")]
    pub trait Sealed {}

    impl Sealed for super::Respond {}
    impl Sealed for super::Fail {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_told_in_its_own_way() {
        let http = Refusal::LATE.response(Protocol::Http);
        assert_eq!(http.status(), StatusCode::GATEWAY_TIMEOUT);
        let grpc = Refusal::LATE.response(Protocol::Grpc);
        assert_eq!(
            (grpc.status(), &grpc.headers()["grpc-status"]),
            (StatusCode::OK, &"4".parse().unwrap())
        );
        assert!(!http.headers().contains_key("x-envoy-overloaded"));
        let full = Refusal { kind: Kind::Overloaded, ..Refusal::LATE }.response(Protocol::Http);
        assert_eq!(full.headers()["x-envoy-overloaded"], "true");
        let error = <Fail as Refuse<(), BoxError>>::refuse(&Refusal::LATE, Protocol::Http);
        let error = error.unwrap_err();
        assert!(error.downcast_ref::<Error>().is_some_and(Error::is_deadline));
    }
}
