//! Responses and errors for requests that are not sent to a cluster.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};
use mesh_core::filter::LocalResponse;
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::snapshot::NoPlan;

use super::target::Inner;
use crate::body::ResponseBody;
use crate::error::{Error, Kind};

/// What becomes of a request that has no plan.
///
/// gRPC calls cannot be answered by a route: those fail (UNAVAILABLE, gRFC A28).
pub(super) fn without_plan(
    target: &Inner,
    why: NoPlan,
    head: &RequestHead<'_>,
) -> Result<Response<ResponseBody>, Error> {
    let (kind, why) = match (why, head.protocol) {
        (NoPlan::Respond { status, body, .. }, Protocol::Http) => {
            let is_empty = body.is_empty();
            let mut response = Response::new(ResponseBody::local(content(body, head)));
            *response.status_mut() = status;
            if !is_empty {
                // What Envoy says of such a body.
                let text = HeaderValue::from_static("text/plain");
                response.headers_mut().insert(CONTENT_TYPE, text);
            }
            return Ok(response);
        }
        (NoPlan::Redirect { status, location, .. }, Protocol::Http) => {
            let mut response = Response::new(ResponseBody::local(Bytes::new()));
            *response.status_mut() = status;
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(LOCATION, location);
            }
            return Ok(response);
        }
        (why @ (NoPlan::Broken { .. } | NoPlan::Unknown { .. }), _) => (Kind::NoCluster, why),
        (why, _) => (Kind::NoRoute, why),
    };
    Err(Error::new(kind, format!("{}: {why}", target.name)))
}

/// The response that a filter has made.
pub(super) fn local(local: LocalResponse, head: &RequestHead<'_>) -> Response<ResponseBody> {
    let LocalResponse { status, grpc, headers, body, .. } = local;
    if head.protocol == Protocol::Grpc {
        return grpc_head(grpc, &body, headers).map(ResponseBody::local);
    }
    let mut response = Response::new(ResponseBody::local(content(body, head)));
    *response.headers_mut() = headers;
    *response.status_mut() = status;
    response
}

/// In place of a filter that wants to see the body, which filters of clients do not.
#[cold]
pub(super) fn bodiless() -> LocalResponse {
    LocalResponse {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        grpc: INTERNAL,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"a filter waits for the body"),
        why: "filters of clients do not see the body".into(),
    }
}

/// gRPC's status code.
const INTERNAL: u8 = 13;

/// A gRPC error: a response without a body whose status is in the header fields.
pub(crate) fn grpc_head(code: u8, message: &[u8], headers: HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = headers;
    *response.status_mut() = StatusCode::OK;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if let Some(message) = percent_encoded(message) {
        fields.insert("grpc-message", message);
    }
    response
}

/// What of `body` is sent: nothing in answer to `HEAD`.
fn content(body: Bytes, head: &RequestHead<'_>) -> Bytes {
    if *head.method == Method::HEAD { Bytes::new() } else { body }
}

/// `grpc-message` escapes what is not printable ASCII, and `%` itself.
pub(crate) fn percent_encoded(text: &[u8]) -> Option<HeaderValue> {
    let mut out = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    (!out.is_empty()).then(|| HeaderValue::try_from(out).ok()).flatten()
}
