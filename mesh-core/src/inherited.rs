//! What a request hands down to the calls that serving it takes.
//!
//! A service that answers a request asks others. Those calls have no more time than the request
//! has, matter as much as it does, and belong to the same trace. A proxy beside the service cannot
//! know which call belongs to which request; a library in it can. Here is what is handed down, and
//! how it is read from a request and said in a call; how it comes from one to the other is the
//! shell's.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::deadline;
use crate::identity::Peer;
use crate::request::{Criticality, Protocol};
use crate::tenant::Tenant;

/// What the calls made for one request get from it.
///
/// Fields of the request that are handed down as they are: `x-request-id`, `traceparent`,
/// `tracestate`, `baggage`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Inherited {
    /// When the request must have been answered.
    pub deadline: Option<Instant>,
    /// How much it matters.
    pub criticality: Criticality,
    /// How often the request had been sent before it was sent this time; 0 for the first time.
    pub retries: u32,
    /// Whose it is, if that is known.
    pub tenant: Option<Tenant>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

/// Whose word about criticality counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller {
    /// Somebody who may say how much a request matters.
    Trusted,
    /// Anybody. What such a caller says of it is not believed.
    Stranger,
}

impl Caller {
    /// Who has proved a SPIFFE ID is trusted.
    #[must_use]
    pub fn of(peer: &Peer) -> Self {
        match peer.spiffe_id() {
            Some(_) => Self::Trusted,
            None => Self::Stranger,
        }
    }

    /// How much a request of this caller with these header fields matters.
    #[must_use]
    pub fn criticality(self, headers: &HeaderMap) -> Criticality {
        match self {
            // The last word counts, as in `Inherited::of`.
            Self::Trusted => {
                let said = headers.get_all(CRITICALITY).iter().next_back();
                let said = said.and_then(|value| Criticality::parse(value.as_bytes()));
                said.unwrap_or_default()
            }
            Self::Stranger => Criticality::default(),
        }
    }
}

impl Inherited {
    /// What a request with these header fields hands down, which must be answered by `deadline`. Whose
    /// it is, fields do not say.
    #[must_use]
    pub fn of(headers: &HeaderMap, caller: Caller, deadline: Option<Instant>) -> Self {
        let mut inherited = Self { deadline, ..Self::default() };
        // Once over all fields: most requests have few, and none of these.
        for (name, value) in headers {
            match name.as_str() {
                "x-request-id" | "traceparent" | "tracestate" | "baggage"
                    if inherited.fields.len() < MAX_FIELDS =>
                {
                    inherited.fields.push((name.clone(), value.clone()));
                }
                "x-mesh-criticality" if caller == Caller::Trusted => {
                    let said = Criticality::parse(value.as_bytes());
                    inherited.criticality = said.unwrap_or_default();
                }
                "grpc-previous-rpc-attempts" | "x-envoy-attempt-count" => {
                    inherited.retries = retries(headers);
                }
                _ => {}
            }
        }
        inherited
    }

    /// Whether there is nothing that a call would get.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deadline.is_none()
            && self.criticality == Criticality::default()
            && self.retries == 0
            && self.tenant.is_none()
            && self.fields.is_empty()
    }

    /// The request's own name (`x-request-id`), if it has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&HeaderValue> {
        self.field(&REQUEST_ID)
    }

    /// The first value of a field that is handed down.
    #[must_use]
    pub fn field(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Says it all in the header fields of a call, but for the deadline. A field that the call
    /// has already stays as it is.
    pub fn hand_down(&self, headers: &mut HeaderMap) {
        let mut last = None;
        for (name, value) in &self.fields {
            // Several values of one name stand side by side.
            if last == Some(name) || !headers.contains_key(name) {
                // A map that is full, as no message can be, stays as it is rather than panicking.
                let _ = headers.try_append(name, value.clone());
                last = Some(name);
            }
        }
        if self.criticality != Criticality::default() && !headers.contains_key(CRITICALITY) {
            let value = HeaderValue::from_static(self.criticality.as_str());
            let _ = headers.try_insert(CRITICALITY, value);
        }
    }
}

/// How often a request had been sent before it was sent this time, by the word of whoever sent it:
/// `grpc-previous-rpc-attempts` (gRFC A6) or `x-envoy-attempt-count`, which counts from 1; where both
/// are there, the one that says more.
#[must_use]
pub fn retries(headers: &HeaderMap) -> u32 {
    let number = |name: HeaderName| headers.get(name).and_then(digits);
    let before = number(PREVIOUS_ATTEMPTS).unwrap_or(0);
    before.max(number(ATTEMPT_COUNT).unwrap_or(0).saturating_sub(1))
}

/// How long a caller that speaks HTTP says that it waits (`x-envoy-expected-rq-timeout-ms`);
/// `None` where it says nothing, or no number, or 0, which is no bound.
#[must_use]
pub fn expected(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get(EXPECTED_TIMEOUT).and_then(digits)?;
    (millis > 0).then(|| Duration::from_millis(millis.into()))
}

/// The shorter of `limit` and what the caller says in `headers` of its own, which they say from now
/// on: `grpc-timeout` for gRPC, `x-envoy-expected-rq-timeout-ms` for HTTP.
#[must_use]
pub fn shorten(headers: &mut HeaderMap, protocol: Protocol, limit: Duration) -> Duration {
    if let Some(stated) = stated(headers, protocol).filter(|stated| *stated <= limit) {
        return stated;
    }
    let (name, value) = match protocol {
        Protocol::Grpc => (GRPC_TIMEOUT, deadline::format(limit)),
        Protocol::Http => {
            // 0 would mean for ever, so the least is a millisecond.
            let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
            (EXPECTED_TIMEOUT, HeaderValue::from(millis))
        }
    };
    // A map that is full, as no message can be, stays as it is rather than panicking.
    let _ = headers.try_insert(name, value);
    limit
}

/// What the caller says in `headers` of how long it waits, as [`shorten`] reads it.
#[must_use]
pub fn stated(headers: &HeaderMap, protocol: Protocol) -> Option<Duration> {
    match protocol {
        Protocol::Grpc => deadline::parse(headers.get(GRPC_TIMEOUT)?.as_bytes()),
        Protocol::Http => expected(headers),
    }
}

fn digits(value: &HeaderValue) -> Option<u32> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

/// How much a request matters.
pub const CRITICALITY: HeaderName = HeaderName::from_static("x-mesh-criticality");

/// How often a gRPC call was sent before.
pub const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// How often a request was sent, this time included.
pub const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// How long the caller waits, in milliseconds.
pub const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Values that are handed down at the most: `baggage` and `tracestate` may come in several.
const MAX_FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_call_says_what_its_request_said() {
        let request = headers(&[
            ("x-request-id", "7"),
            ("traceparent", "00-1-2-01"),
            ("baggage", "a=1"),
            ("baggage", "b=2"),
            ("cookie", "secret"),
            ("x-mesh-criticality", "sheddable"),
        ]);
        let inherited = Inherited::of(&request, Caller::Trusted, Some(at(3)));
        assert_eq!(inherited.deadline, Some(at(3)));
        assert_eq!(inherited.criticality, Criticality::Sheddable);
        assert_eq!(Caller::Trusted.criticality(&request), Criticality::Sheddable);
        let mut call = headers(&[("traceparent", "00-1-9-01")]);
        inherited.hand_down(&mut call);
        let expect = headers(&[
            ("traceparent", "00-1-9-01"),
            ("x-request-id", "7"),
            ("baggage", "a=1"),
            ("baggage", "b=2"),
            ("x-mesh-criticality", "sheddable"),
        ]);
        assert_eq!(call, expect);
    }

    #[test]
    fn a_stranger_is_not_believed_about_criticality() {
        let request = headers(&[("x-mesh-criticality", "critical_plus"), ("x-request-id", "7")]);
        let inherited = Inherited::of(&request, Caller::Stranger, None);
        assert_eq!(inherited.criticality, Criticality::Critical);
        assert_eq!(Caller::Stranger.criticality(&request), Criticality::Critical);
        assert_eq!(inherited.request_id(), Some(&HeaderValue::from_static("7")));
        let mut call = HeaderMap::new();
        inherited.hand_down(&mut call);
        assert_eq!(call, headers(&[("x-request-id", "7")]));
    }

    #[test]
    fn the_last_word_about_criticality_counts() {
        for (said, expect) in [
            (&["sheddable", "critical_plus"][..], Criticality::CriticalPlus),
            (&["critical_plus", "sheddable"], Criticality::Sheddable),
            (&["sheddable", "urgent"], Criticality::Critical),
            (&[], Criticality::Critical),
        ] {
            let fields: Vec<_> = said.iter().map(|word| ("x-mesh-criticality", *word)).collect();
            let request = headers(&fields);
            assert_eq!(Caller::Trusted.criticality(&request), expect, "{said:?}");
            let inherited = Inherited::of(&request, Caller::Trusted, None);
            assert_eq!(inherited.criticality, expect, "{said:?}");
        }
    }

    #[test]
    fn retries_are_read_in_both_ways_of_counting() {
        for (fields, expect) in [
            (&[][..], 0),
            (&[("x-envoy-attempt-count", "1")], 0),
            (&[("x-envoy-attempt-count", "3")], 2),
            (&[("grpc-previous-rpc-attempts", "2")], 2),
            (&[("x-envoy-attempt-count", "0")], 0),
            (&[("x-envoy-attempt-count", "-1")], 0),
            (&[("grpc-previous-rpc-attempts", "+2")], 0),
            (&[("grpc-previous-rpc-attempts", "0"), ("x-envoy-attempt-count", "3")], 2),
            (&[("grpc-previous-rpc-attempts", "99999999999")], 0),
        ] {
            assert_eq!(retries(&headers(fields)), expect, "{fields:?}");
        }
    }

    #[test]
    fn a_caller_of_http_says_how_long_it_waits() {
        for (value, expect) in [("250", Some(250)), ("0", None), ("", None), ("1s", None)] {
            let read = expected(&headers(&[("x-envoy-expected-rq-timeout-ms", value)]));
            assert_eq!(read, expect.map(Duration::from_millis), "{value}");
        }
    }

    #[test]
    fn the_shorter_limit_counts_and_is_said() {
        let second = Duration::from_secs(1);
        for (protocol, name, said, limit, now) in [
            (Protocol::Grpc, "grpc-timeout", None, 1_000, "1S"),
            (Protocol::Grpc, "grpc-timeout", Some("250m"), 250, "250m"),
            (Protocol::Grpc, "grpc-timeout", Some("2S"), 1_000, "1S"),
            (Protocol::Http, "x-envoy-expected-rq-timeout-ms", None, 1_000, "1000"),
            (Protocol::Http, "x-envoy-expected-rq-timeout-ms", Some("250"), 250, "250"),
            (Protocol::Http, "x-envoy-expected-rq-timeout-ms", Some("0"), 1_000, "1000"),
        ] {
            let mut map = said.map_or_else(HeaderMap::new, |said| headers(&[(name, said)]));
            assert_eq!(shorten(&mut map, protocol, second), Duration::from_millis(limit));
            assert_eq!(map, headers(&[(name, now)]), "{said:?}");
        }
    }

    #[test]
    fn values_that_are_handed_down_are_bounded() {
        let many: Vec<_> = (0..100).map(|_| ("baggage", "a=1")).collect();
        let mut call = HeaderMap::new();
        Inherited::of(&headers(&many), Caller::Stranger, None).hand_down(&mut call);
        assert_eq!(call.len(), MAX_FIELDS);
    }
}
