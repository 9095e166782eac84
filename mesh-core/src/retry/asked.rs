use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::conditions::Conditions;

/// What a caller asks for by header fields, where its word counts (Envoy's router filter).
///
/// These fields are between the caller and its mesh. They are taken out of every request; whether
/// what they say is followed is up to who takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// Reasons to send again besides those of the policy (`x-envoy-retry-on`,
    /// `x-envoy-retry-grpc-on`).
    pub conditions: Conditions,
    /// How often, in the place of the policy's number (`x-envoy-max-retries`).
    pub num_retries: Option<u32>,
    /// The time for the whole call, in the place of the route's; 0 is no limit
    /// (`x-envoy-upstream-rq-timeout-ms`).
    pub timeout: Option<Duration>,
    /// The time for one attempt, in the place of the policy's; 0 is no limit
    /// (`x-envoy-upstream-rq-per-try-timeout-ms`).
    pub per_try_timeout: Option<Duration>,
    /// Whether the next attempt starts beside one that takes too long, in the place of the route's
    /// setting (`x-envoy-hedge-on-per-try-timeout`).
    pub hedge_on_per_try_timeout: Option<bool>,
}

impl Asked {
    /// Takes the fields out of `headers`. What cannot be read counts as not said.
    #[must_use]
    pub fn take(headers: &mut HeaderMap) -> Self {
        let mut asked = Self::default();
        // One look at the names costs less than to ask for each that could be there.
        if !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
            return asked;
        }
        if let Some(list) = headers.remove(RETRY_ON) {
            asked.conditions = conditions(&list).of_http();
        }
        if let Some(list) = headers.remove(RETRY_GRPC_ON) {
            asked.conditions = asked.conditions | conditions(&list).of_grpc();
        }
        asked.num_retries = headers.remove(MAX_RETRIES).and_then(|value| number(&value));
        asked.timeout = headers.remove(TIMEOUT).and_then(|value| millis(&value));
        asked.per_try_timeout = headers.remove(PER_TRY_TIMEOUT).and_then(|value| millis(&value));
        asked.hedge_on_per_try_timeout =
            headers.remove(HEDGE).and_then(|value| match value.as_bytes() {
                b"true" => Some(true),
                b"false" => Some(false),
                _ => None,
            });
        asked
    }

    /// The limit of the whole call on a route that has the limit `route`; `None` is none.
    #[must_use]
    pub fn limit(&self, route: Option<Duration>) -> Option<Duration> {
        self.timeout.or(route).filter(|limit| !limit.is_zero())
    }
}

fn conditions(value: &HeaderValue) -> Conditions {
    value.to_str().map_or(Conditions::NONE, Conditions::parse)
}

fn number(value: &HeaderValue) -> Option<u32> {
    value.to_str().ok()?.trim().parse().ok()
}

fn millis(value: &HeaderValue) -> Option<Duration> {
    Some(Duration::from_millis(number(value)?.into()))
}

/// What the names of all these fields begin with.
const PREFIX: &str = "x-envoy-";

const RETRY_ON: HeaderName = HeaderName::from_static("x-envoy-retry-on");
const RETRY_GRPC_ON: HeaderName = HeaderName::from_static("x-envoy-retry-grpc-on");
const MAX_RETRIES: HeaderName = HeaderName::from_static("x-envoy-max-retries");
const TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");
const PER_TRY_TIMEOUT: HeaderName =
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms");
const HEDGE: HeaderName = HeaderName::from_static("x-envoy-hedge-on-per-try-timeout");
