use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::inherited::{ATTEMPT_COUNT, PREVIOUS_ATTEMPTS};

/// Which header fields of an attempt say how many there were before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counted {
    /// None, but for the retries of gRPC calls (gRFC A6).
    #[default]
    Plain,
    /// `x-envoy-attempt-count` as well (`include_request_attempt_count`).
    Included,
}

/// Says in `headers` of a gRPC call that it was sent `previous` times before.
pub(super) fn say_grpc(headers: &mut HeaderMap, previous: u32) {
    if previous == 0 {
        headers.remove(PREVIOUS_ATTEMPTS);
    } else {
        say(headers, PREVIOUS_ATTEMPTS, previous);
    }
}

/// Says in `headers` that the request was sent `previous` times before.
pub(super) fn say_http(headers: &mut HeaderMap, previous: u32) {
    say(headers, ATTEMPT_COUNT, previous.saturating_add(1));
}

fn say(headers: &mut HeaderMap, name: HeaderName, number: u32) {
    let value = match number {
        // First attempts are the usual ones, and cost no allocation.
        1 => HeaderValue::from_static("1"),
        number => HeaderValue::from(number),
    };
    // A map that is full, as no message can be, stays as it is rather than panicking.
    let _ = headers.try_insert(name, value);
}
