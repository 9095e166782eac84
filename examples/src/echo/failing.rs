//! Requests that some backends are to fail: `x-echo-fail: b1=503`, with an HTTP status, a gRPC code,
//! or without an answer.

use std::future::pending;

use h2::Reason;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Answer, grpc};

/// Which backends are to fail, and how.
const FAIL: HeaderName = HeaderName::from_static("x-echo-fail");

/// What `backend` is to fail with.
pub(super) fn code(headers: &HeaderMap, backend: &HeaderValue) -> Option<u16> {
    word(headers, backend)?.parse().ok()
}

/// Nothing, unless `backend` is not to answer.
pub(super) async fn unanswered(
    headers: &HeaderMap,
    backend: &HeaderValue,
) -> Result<(), h2::Error> {
    match word(headers, backend) {
        Some("refuse") => Err(Reason::REFUSED_STREAM.into()),
        Some("reset") => Err(Reason::INTERNAL_ERROR.into()),
        Some("never") => pending().await,
        _ => Ok(()),
    }
}

fn word<'a>(headers: &'a HeaderMap, backend: &HeaderValue) -> Option<&'a str> {
    let list = headers.get(FAIL)?.to_str().ok()?;
    let mut entries = list.split(',').filter_map(|entry| entry.trim().split_once('='));
    entries.find(|(name, _)| name.as_bytes() == backend.as_bytes()).map(|(_, word)| word)
}

/// `answer`, failed.
pub(super) fn fail(mut answer: Answer, code: u16, is_grpc: bool) -> Answer {
    if is_grpc {
        let kind = HeaderValue::from_static("application/grpc");
        answer = grpc::refusal(code, "as asked");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    } else {
        *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    }
    answer
}
