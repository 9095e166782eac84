//! What requests may ask of the echo, so that tests have servers that are slow or fail.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

/// `x-echo-delay-ms`: the answer comes so many milliseconds later, 60 s at the most.
const DELAY: HeaderName = HeaderName::from_static("x-echo-delay-ms");
/// `x-echo-status`: the status of answers to HTTP requests.
const STATUS: HeaderName = HeaderName::from_static("x-echo-status");

const LONGEST: Duration = Duration::from_secs(60);

/// How long the answer takes.
pub(super) fn delay(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get(DELAY)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST))
}

/// The status of the answer, if it is not to be 200.
pub(super) fn status(headers: &HeaderMap) -> Option<StatusCode> {
    StatusCode::from_bytes(headers.get(STATUS)?.as_bytes()).ok()
}
