//! What a backend answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::mistake;
use crate::body::Body;
use crate::client::percent_encoded;
use crate::error::BoxError;

/// What a backend answers.
///
/// Also made from a status (`503`), a text, or an [`http::Response`] with its content.
#[derive(Clone, Debug)]
pub struct Reply {
    response: Response<Bytes>,
    trailers: Option<HeaderMap>,
    /// The HTTP/2 error code that ends the stream in place of a response.
    reset: Option<u32>,
}

impl Reply {
    /// `content` with status 200.
    #[must_use]
    pub fn ok(content: impl Into<Bytes>) -> Self {
        Self { response: Response::new(content.into()), trailers: None, reset: None }
    }

    /// A status without content.
    ///
    /// # Panics
    /// When it is not one: below 100 or above 999.
    #[must_use]
    #[track_caller]
    pub fn status(status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(status) => status.into(),
            Err(_) => mistake(&format!("{status} is not an HTTP status")),
        }
    }

    /// The answer to a unary gRPC call: one message, as encoded as protobuf, and the status OK.
    #[must_use]
    pub fn message(message: impl AsRef<[u8]>) -> Self {
        let mut reply = Self::ok(framed(message.as_ref())).grpc_fields();
        let ok = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
        reply.trailers = Some(ok);
        reply
    }

    /// A gRPC status without a message, such as 14 for UNAVAILABLE, and why.
    #[must_use]
    pub fn grpc(code: u16, why: &str) -> Self {
        let mut reply = Self::ok(Bytes::new()).grpc_fields();
        let fields = reply.response.headers_mut();
        fields.insert(GRPC_STATUS, code.into());
        if let Some(why) = percent_encoded(why.as_bytes()) {
            fields.insert(GRPC_MESSAGE, why);
        }
        reply
    }

    /// No response: the HTTP/2 stream ends with this error code, such as 7 for `REFUSED_STREAM`. On
    /// HTTP/1.1 the connection closes.
    #[must_use]
    pub fn reset(code: u32) -> Self {
        Self { reset: Some(code), ..Self::ok(Bytes::new()) }
    }

    /// Adds a header field.
    ///
    /// # Panics
    /// When the name or the value is malformed.
    #[must_use]
    #[track_caller]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        HeaderValue: TryFrom<V>,
    {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(self.response.headers_mut().append(name, value)),
            (Err(_), _) => mistake("the name of a header field is malformed"),
            (Ok(_), Err(_)) => mistake("the value of a header field is malformed"),
        }
        self
    }

    fn grpc_fields(mut self) -> Self {
        let grpc = HeaderValue::from_static("application/grpc");
        self.response.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
        self
    }

    /// The response, or the error that makes hyper reset the stream.
    pub(crate) fn into_response(self) -> Result<Response<Body>, BoxError> {
        if let Some(code) = self.reset {
            return Err(h2::Error::from(h2::Reason::from(code)).into());
        }
        let trailers = self.trailers.map(Ok);
        Ok(self.response.map(|content| {
            let body = Full::new(content).map_err(|never| match never {});
            match trailers {
                None => body.boxed_unsync(),
                some => body.with_trailers(std::future::ready(some)).boxed_unsync(),
            }
        }))
    }
}

impl From<u16> for Reply {
    /// As [`Reply::status`], which panics where it is not one.
    #[track_caller]
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

impl From<StatusCode> for Reply {
    fn from(status: StatusCode) -> Self {
        let mut reply = Self::ok(Bytes::new());
        *reply.response.status_mut() = status;
        reply
    }
}

impl From<&'static str> for Reply {
    fn from(text: &'static str) -> Self {
        Self::ok(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::ok(text)
    }
}

impl<B: Into<Bytes>> From<Response<B>> for Reply {
    fn from(response: Response<B>) -> Self {
        Self { response: response.map(Into::into), trailers: None, reset: None }
    }
}

/// A gRPC message with its prefix: not compressed, and so long.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let prefix = [&[0][..], &length.to_be_bytes()].concat();
    [&prefix, message].concat().into()
}

pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
