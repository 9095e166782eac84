//! What responses say of how much is left.

use std::fmt::Write;

use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use http::{HeaderName, HeaderValue};

/// `X-RateLimit-*` of the limit that is nearest to its end; none if no limit is known.
pub(super) fn headers(statuses: &[DescriptorStatus]) -> Vec<(HeaderName, HeaderValue)> {
    let known = statuses.iter().filter_map(|status| Some((status, status.current_limit.as_ref()?)));
    let Some((nearest, limit)) = known.clone().min_by_key(|(status, _)| status.limit_remaining)
    else {
        return Vec::new();
    };
    let mut policy = limit.requests_per_unit.to_string();
    for (_, limit) in known {
        let Some(window) = window(limit.unit) else { continue };
        // Writing to a string does not fail.
        let _ = write!(policy, ", {};w={window}", limit.requests_per_unit);
        if !limit.name.is_empty() {
            let _ = write!(policy, ";name=\"{}\"", limit.name);
        }
    }
    let reset = nearest.duration_until_reset.map_or(0, |time| time.seconds);
    // Names that cannot stand in a header field leave only the number.
    let policy = HeaderValue::try_from(policy);
    vec![
        (LIMIT, policy.unwrap_or_else(|_| HeaderValue::from(limit.requests_per_unit))),
        (REMAINING, HeaderValue::from(nearest.limit_remaining)),
        (RESET, HeaderValue::from(reset)),
    ]
}

/// Seconds to wait, at least 1, by the limits that are reached; `None` if none is known.
pub(super) fn wait(statuses: &[DescriptorStatus]) -> Option<HeaderValue> {
    let over = statuses.iter().filter(|it| it.code == i32::from(Code::OverLimit));
    let seconds = over.map(|it| {
        let time = it.duration_until_reset.unwrap_or_default();
        time.seconds.saturating_add(i64::from(time.nanos > 0))
    });
    seconds.max().map(|seconds| HeaderValue::from(seconds.max(1)))
}

fn window(unit: i32) -> Option<u32> {
    const DAY: u32 = 24 * 60 * 60;
    Some(match Unit::try_from(unit).ok()? {
        Unit::Second => 1,
        Unit::Minute => 60,
        Unit::Hour => 60 * 60,
        Unit::Day => DAY,
        Unit::Week => 7 * DAY,
        Unit::Month => 30 * DAY,
        Unit::Year => 365 * DAY,
        Unit::Unknown => return None,
    })
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
