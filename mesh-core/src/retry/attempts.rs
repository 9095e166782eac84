use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Which header fields of an attempt say how many there were before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counted {
    /// None, but for the retries of gRPC calls (gRFC A6).
    #[default]
    Plain,
    /// `x-envoy-attempt-count` as well (`include_request_attempt_count`).
    Included,
}

/// How often a request that has come with `headers` was sent before, by its own word: 0 for a first
/// attempt.
#[must_use]
pub fn previous(headers: &HeaderMap) -> u32 {
    let number = |name: &HeaderName| -> Option<u32> {
        headers.get(name)?.to_str().ok().filter(|text| !text.starts_with('+'))?.parse().ok()
    };
    let before = number(&PREVIOUS_ATTEMPTS);
    before.or_else(|| number(&ATTEMPT_COUNT)?.checked_sub(1)).unwrap_or(0)
}

/// Says in `headers` of a gRPC call that it was sent `previous` times before.
pub(super) fn say_grpc(headers: &mut HeaderMap, previous: u32) {
    if previous == 0 {
        headers.remove(&PREVIOUS_ATTEMPTS);
    } else {
        say(headers, PREVIOUS_ATTEMPTS, previous);
    }
}

/// Says in `headers` that the request was sent `previous` times before.
pub(super) fn say_http(headers: &mut HeaderMap, previous: u32) {
    say(headers, ATTEMPT_COUNT, previous.saturating_add(1));
}

fn say(headers: &mut HeaderMap, name: HeaderName, number: u32) {
    // A map that is full, as no message can be, stays as it is rather than panicking.
    let _ = headers.try_insert(name, HeaderValue::from(number));
}

const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
