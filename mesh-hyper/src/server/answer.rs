//! Responses that the server makes itself.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use mesh_core::filter::LocalResponse;
use mesh_core::request::Protocol;
use mesh_core::snapshot::NoPlan;

use super::head::Malformed;
use crate::client::grpc_head;
use crate::error::Error;

/// gRPC status codes that are answered here.
pub(super) const DEADLINE_EXCEEDED: u8 = 4;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;

/// An answer with `status`, or to gRPC callers with the code `grpc`. `text` is for callers, too.
pub(super) fn plain(
    protocol: Protocol,
    status: StatusCode,
    grpc: u8,
    text: &'static str,
) -> Response<Bytes> {
    let body = Bytes::from_static(text.as_bytes());
    match protocol {
        Protocol::Grpc => grpc_head(grpc, &body, http::HeaderMap::new()),
        Protocol::Http | _ => {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response
        }
    }
}

/// To a request that cannot be read in one way only.
pub(super) fn malformed(why: Malformed, protocol: Protocol) -> Response<Bytes> {
    match why {
        Malformed::Authority => {
            plain(protocol, StatusCode::BAD_REQUEST, INTERNAL, "the authority is malformed")
        }
        Malformed::Target => {
            plain(protocol, StatusCode::BAD_REQUEST, INTERNAL, "the target is malformed")
        }
        Malformed::TooManyFields => {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            plain(protocol, status, INTERNAL, "there are too many header fields")
        }
        Malformed::Underscore => {
            let text = "the name of a header field has an underscore";
            plain(protocol, StatusCode::BAD_REQUEST, INTERNAL, text)
        }
        Malformed::GrpcPath => {
            plain(protocol, StatusCode::NOT_FOUND, UNIMPLEMENTED, "the path names no gRPC method")
        }
        Malformed::GrpcTimeout => {
            plain(protocol, StatusCode::BAD_REQUEST, INTERNAL, "grpc-timeout is malformed")
        }
    }
}

/// To a request that is not gRPC, where there is nothing else.
pub(super) fn not_grpc() -> Response<Bytes> {
    let text = "only gRPC is served here";
    plain(Protocol::Http, StatusCode::UNSUPPORTED_MEDIA_TYPE, INTERNAL, text)
}

/// To a request whose path cannot be brought into the form that is asked for.
pub(super) fn malformed_path(protocol: Protocol) -> Response<Bytes> {
    plain(protocol, StatusCode::BAD_REQUEST, INTERNAL, "the path is malformed")
}

/// To a request whose deadline has passed.
pub(super) fn late(protocol: Protocol) -> Response<Bytes> {
    let text = "the deadline has passed";
    plain(protocol, StatusCode::GATEWAY_TIMEOUT, DEADLINE_EXCEEDED, text)
}

/// To a request that the user's service has failed.
pub(super) fn failed(protocol: Protocol) -> Response<Bytes> {
    plain(protocol, StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, "the service failed")
}

/// To a request for which there are no routes (gRFC A36).
pub(super) fn broken(protocol: Protocol) -> Response<Bytes> {
    let text = "the server has no routes";
    plain(protocol, StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text)
}

/// To a request that has no plan.
///
/// gRPC calls cannot be answered by a route: those fail (UNAVAILABLE, gRFC A36).
pub(super) fn without_plan(why: NoPlan, protocol: Protocol) -> Response<Bytes> {
    match (why, protocol) {
        (NoPlan::Respond { status, body, .. }, Protocol::Http) => {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response
        }
        (NoPlan::Redirect { status, location, .. }, Protocol::Http) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = status;
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        (NoPlan::NoRoute(_), protocol) => {
            plain(protocol, StatusCode::NOT_FOUND, UNAVAILABLE, "no route matches the request")
        }
        (_, protocol) => {
            let text = "the route does not serve requests";
            plain(protocol, StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text)
        }
    }
}

/// To a request whose body broke off while a filter waited for it.
#[cold]
pub(super) fn broken_off(why: &Error) -> LocalResponse {
    LocalResponse {
        status: StatusCode::BAD_REQUEST,
        grpc: INTERNAL,
        headers: http::HeaderMap::new(),
        body: Bytes::from_static(b"the request body broke off"),
        why: why.to_string().into(),
    }
}

/// What a filter has answered.
pub(super) fn local(local: LocalResponse, protocol: Protocol) -> Response<Bytes> {
    let LocalResponse { status, grpc, headers, body, .. } = local;
    match protocol {
        Protocol::Grpc => grpc_head(grpc, &body, headers),
        Protocol::Http | _ => {
            let mut response = Response::new(body);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    }
}
