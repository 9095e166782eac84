//! How a layer says no.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use mesh_core::request::Protocol;

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
    /// The HTTP status, where it is not that of the kind.
    pub(crate) status: Option<StatusCode>,
    /// When it is worth to come again.
    pub(crate) wait: Option<Duration>,
}

impl Refusal {
    /// The time is over.
    pub(crate) const LATE: Self = Self::new(Kind::Deadline, 4, "the time is over");

    /// A breaker refuses.
    pub(crate) const BROKEN: Self =
        Self::new(Kind::Overloaded, 14, "the breaker refuses: the server fails");

    /// Too few requests succeed.
    pub(crate) const FAILING: Self = Self::new(Kind::Overloaded, 14, "too few requests succeed");

    /// There is more to do than can be done.
    pub(crate) const BUSY: Self =
        Self::new(Kind::Overloaded, 14, "too many requests are under way");

    /// As much is under way, and waits, as may.
    pub(crate) const FULL: Self = Self::new(Kind::Overloaded, 8, "too many requests are under way");

    /// It is one request too many, for so long.
    pub(crate) fn often(wait: Duration) -> Self {
        Self {
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            wait: Some(wait).filter(|wait| *wait < Duration::MAX),
            ..Self::new(Kind::Overloaded, 8, "too many requests")
        }
    }

    /// It is made to fail.
    pub(crate) fn fault(status: StatusCode, grpc: u8) -> Self {
        Self { status: Some(status), ..Self::new(Kind::Dropped, grpc, "a fault was injected") }
    }

    /// The endpoint is left alone for a while.
    pub(crate) const EJECTED: Self =
        Self::new(Kind::NoEndpoint, 14, "the endpoint is ejected as an outlier");

    const fn new(kind: Kind, grpc: u8, why: &'static str) -> Self {
        Self { kind, grpc, why, status: None, wait: None }
    }

    fn error(&self) -> Error {
        Error::new(self.kind, self.why)
    }

    fn response(&self, protocol: Protocol) -> Response<()> {
        match protocol {
            Protocol::Grpc => {
                let mut headers = HeaderMap::new();
                if self.kind == Kind::Overloaded && self.status.is_none() {
                    // Do not send it again (gRFC A6): more would not help.
                    headers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("-1"));
                }
                grpc_head(self.grpc, self.why.as_bytes(), headers).map(drop)
            }
            Protocol::Http | _ => {
                let mut response = Response::new(());
                *response.status_mut() = self.status.unwrap_or_else(|| self.error().status());
                if self.kind == Kind::Overloaded
                    && response.status() == StatusCode::SERVICE_UNAVAILABLE
                {
                    // What Envoy says, so that callers do not send the request again at once.
                    let told = HeaderValue::from_static("true");
                    response.headers_mut().insert("x-envoy-overloaded", told);
                }
                if let Some(wait) = self.wait {
                    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                    response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
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
        Self::headers(request).map_or(Protocol::Http, |headers| Protocol::of(headers))
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
        let full = Refusal::BROKEN.response(Protocol::Grpc);
        assert_eq!(full.headers()["grpc-retry-pushback-ms"], "-1");
        assert!(!grpc.headers().contains_key("grpc-retry-pushback-ms"));
        let error = <Fail as Refuse<(), BoxError>>::refuse(&Refusal::LATE, Protocol::Http);
        let error = error.unwrap_err();
        assert!(error.downcast_ref::<Error>().is_some_and(Error::is_deadline));

        let http = Refusal::often(Duration::from_millis(1_001)).response(Protocol::Http);
        assert_eq!(http.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(http.headers()["retry-after"], "2");
        let grpc = Refusal::often(Duration::from_millis(1_001)).response(Protocol::Grpc);
        assert_eq!(
            (grpc.status(), &grpc.headers()["grpc-status"]),
            (StatusCode::OK, &"8".parse().unwrap())
        );
        let never = Refusal::often(Duration::MAX);
        assert!(never.response(Protocol::Http).headers().is_empty());
        let error = <Fail as Refuse<(), BoxError>>::refuse(&never, Protocol::Http).unwrap_err();
        let kind = error.downcast_ref::<Error>().map(Error::kind);
        assert_eq!(kind, Some(Kind::Overloaded));
    }
}
