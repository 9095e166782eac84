use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::conditions::Conditions;
use super::hosts::Hosts;
use super::spacing::{RateLimited, Spacing};
use crate::classify::{Answer, Failure, Outcome};
use crate::matcher::HeaderMatcher;
use crate::request::RequestHead;

/// When a request is sent again (Envoy's `RetryPolicy`, gRFC A44).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The reasons to send a request again.
    pub conditions: Conditions,
    /// How often at the most, besides the first time; `None` is once. gRPC calls are not sent more
    /// than five times in all (gRFC A6).
    pub num_retries: Option<u32>,
    /// How long one attempt may take.
    pub per_try_timeout: Option<Duration>,
    /// How long one attempt may go on without a byte in either direction.
    pub per_try_idle_timeout: Option<Duration>,
    /// The time between attempts.
    pub spacing: Spacing,
    /// The same where the server says it.
    pub rate_limited: Option<RateLimited>,
    /// The statuses of [`Conditions::STATUS_CODES`].
    pub status_codes: Vec<StatusCode>,
    /// The fields of answers of [`Conditions::HEADERS`]; one of them is enough.
    pub headers: Vec<HeaderMatcher>,
    /// Requests that may be sent again; one of them is enough, none at all means every request.
    pub request_headers: Vec<HeaderMatcher>,
    /// Where it is sent again.
    pub hosts: Hosts,
    /// What is done for a request that is itself a retry. Not Envoy's: metadata of the route.
    pub of_retries: OfRetries,
    /// What is done for methods that are not idempotent. Not Envoy's: metadata of the route.
    pub methods: Methods,
}

/// What is done for the sake of a request that was itself sent again.
///
/// In a chain of services that each retry, one failure at its end is asked for as often as the
/// product of all attempts, and budgets multiply in the same way. With [`Once`](Self::Once) attempts
/// add up, and a budget that is a [share](super::Limit::Share) is one of the whole chain: those that
/// were sent again further up are among its retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OfRetries {
    /// As for every other.
    #[default]
    Retry,
    /// It is sent once. Retries say so in `x-envoy-attempt-count` or `grpc-previous-rpc-attempts`.
    Once,
}

/// What is done for HTTP methods that are not idempotent (RFC 9110 §9.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Methods {
    /// As for every other: the policy knows what it does.
    #[default]
    All,
    /// They are sent again only after failures before which no server can have carried them out.
    Idempotent,
}

impl Methods {
    /// Whether requests with `method` may be carried out twice.
    pub(super) fn has(self, method: &Method) -> bool {
        use http::Method as M;
        let idempotent = [M::GET, M::HEAD, M::PUT, M::DELETE, M::OPTIONS, M::TRACE];
        self == Self::All || idempotent.contains(method)
    }

    /// What is left of `wanted` for `method`.
    pub(super) fn restrict(self, wanted: Conditions, method: &Method) -> Conditions {
        if self.has(method) { wanted } else { wanted.of_untouched() }
    }
}

impl Policy {
    /// Sends again for `conditions`, at most once.
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self { conditions, ..Self::default() }
    }

    /// The same, sending again up to `times`.
    #[must_use]
    pub fn num_retries(mut self, times: u32) -> Self {
        self.num_retries = Some(times);
        self
    }

    /// Whether the request may be sent again at all.
    pub(super) fn is_for(&self, head: &RequestHead<'_>) -> bool {
        self.request_headers.is_empty()
            || self.request_headers.iter().any(|matcher| matcher.matches(head))
    }

    /// The reason among `wanted` to send again after `outcome`, as in Envoy.
    pub(super) fn envoy(&self, wanted: Conditions, outcome: &Outcome<'_>) -> Option<Conditions> {
        match outcome {
            Outcome::Answer(answer) => self.envoy_answer(wanted, answer),
            Outcome::Failed(failure) => wanted.first(candidates(*failure)),
        }
    }

    fn envoy_answer(&self, wanted: Conditions, answer: &Answer<'_>) -> Option<Conditions> {
        // The mesh on the other side has refused it for want of capacity: more would not help.
        if answer.headers.contains_key(OVERLOADED) {
            return None;
        }
        if answer.headers.contains_key(RATE_LIMITED) {
            return wanted.first(&[Conditions::RATE_LIMITED]);
        }
        let status = answer.status;
        let by_status = [
            (status.is_server_error(), Conditions::SERVER_ERROR),
            (matches!(status.as_u16(), 502..=504), Conditions::GATEWAY_ERROR),
            (status == StatusCode::CONFLICT, Conditions::RETRIABLE_4XX),
            (self.status_codes.contains(&status), Conditions::STATUS_CODES),
        ];
        let mut by_status = by_status.into_iter().filter(|(holds, _)| *holds);
        let by_status = by_status.find(|(_, condition)| wanted.has(*condition));
        by_status
            .map(|(_, condition)| condition)
            .or_else(|| wanted.first(&[Conditions::HEADERS]).filter(|_| self.has(answer.headers)))
            .or_else(|| wanted.first(&[Conditions::grpc(answer.grpc?)]))
    }

    fn has(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().any(|matcher| matcher.matches_fields(headers))
    }
}

/// The conditions that are met by a failure, as in Envoy.
fn candidates(failure: Failure) -> &'static [Conditions] {
    use Conditions as C;
    match failure {
        Failure::Overflow => &[],
        Failure::Connect => &[
            C::CONNECT_FAILURE,
            C::RESET_BEFORE_REQUEST,
            C::RESET,
            C::GATEWAY_ERROR,
            C::SERVER_ERROR,
        ],
        Failure::ResetBeforeRequest => {
            &[C::RESET_BEFORE_REQUEST, C::RESET, C::GATEWAY_ERROR, C::SERVER_ERROR]
        }
        Failure::Refused => &[C::REFUSED_STREAM, C::RESET, C::GATEWAY_ERROR, C::SERVER_ERROR],
        Failure::Reset | Failure::TimedOut => &[C::RESET, C::GATEWAY_ERROR, C::SERVER_ERROR],
    }
}

const OVERLOADED: &str = "x-envoy-overloaded";
const RATE_LIMITED: &str = "x-envoy-ratelimited";
