//! How the upstream is told how much time it has.

use std::cell::RefCell;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::inherited::EXPECTED_TIMEOUT;
use mesh_core::request::Protocol;

/// What gRPC says it by.
pub(super) const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");

/// Says that `left` is left.
pub(super) fn say(left: Duration, protocol: Protocol, headers: &mut HeaderMap) {
    set(value(left, protocol), protocol, headers);
}

/// The same of a limit that is not used up yet, and so comes again and again.
pub(super) fn say_usual(limit: Duration, protocol: Protocol, headers: &mut HeaderMap) {
    thread_local! {
        static LAST: RefCell<Option<(Duration, Protocol, HeaderValue)>> =
            const { RefCell::new(None) };
    }
    let value = LAST.with_borrow_mut(|last| match last {
        Some((known, of, value)) if (*known, *of) == (limit, protocol) => value.clone(),
        _ => {
            let value = value(limit, protocol);
            *last = Some((limit, protocol, value.clone()));
            value
        }
    });
    set(value, protocol, headers);
}

fn set(value: HeaderValue, protocol: Protocol, headers: &mut HeaderMap) {
    let name = match protocol {
        Protocol::Grpc => GRPC,
        Protocol::Http | _ => EXPECTED_TIMEOUT,
    };
    // A map that is full, as no message can be, stays as it is rather than panicking.
    let _ = headers.try_insert(name, value);
}

/// 0 would mean for ever, so the least is a millisecond.
fn value(left: Duration, protocol: Protocol) -> HeaderValue {
    match protocol {
        Protocol::Grpc => mesh_core::deadline::format(left),
        Protocol::Http | _ => {
            HeaderValue::from(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1))
        }
    }
}
