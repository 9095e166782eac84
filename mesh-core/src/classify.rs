//! What one attempt came to, and whether its server is to blame.
//!
//! Retries, hedging and breakers look at the same [`Outcome`]; each draws its own conclusion. Not
//! here: how a whole call ended, which is what [`record::Outcome`](crate::record::Outcome) tells.

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};

/// `grpc-status`.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What one attempt came to, at the moment when something can be decided by it.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The head of a response is there.
    Answer(Answer<'a>),
    /// There will be no response.
    Failed(Failure),
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: StatusCode,
    /// `grpc-status` as far as it is known: from the header fields of a response without a body
    /// ("trailers-only"), or from the trailers if they have come already.
    pub grpc: Option<u16>,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

/// Why there is no response to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection could be had; nothing was sent.
    Connect,
    /// The connection or stream broke before the head of the request was on it.
    ResetBeforeRequest,
    /// The connection or stream broke afterwards.
    Reset,
    /// The server gave the request back untouched (`REFUSED_STREAM`, or above the last stream of
    /// a `GOAWAY`).
    Refused,
    /// The time for one attempt was over (`per_try_timeout`, `per_try_idle_timeout`).
    TimedOut,
    /// A limit of our own was reached, or the control plane says to drop the call.
    Overflow,
}

impl<'a> Outcome<'a> {
    /// The outcome of a response with this head; reads `grpc-status` from `headers`.
    #[must_use]
    pub fn answer(status: StatusCode, headers: &'a HeaderMap) -> Self {
        let grpc = headers.get(GRPC_STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
        Self::Answer(Answer { status, grpc, headers })
    }

    /// What a gRPC caller is told: the status code, `None` while it is not known.
    ///
    /// A response that is not gRPC's has the code that gRPC gives to its HTTP status.
    #[must_use]
    pub fn grpc_code(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => answer.grpc.or_else(|| code_of(answer.status)),
            Self::Failed(failure) => Some(failure.grpc_code()),
        }
    }
}

impl Failure {
    /// The gRPC status code that callers are told.
    #[must_use]
    pub fn grpc_code(self) -> u16 {
        match self {
            Self::Connect
            | Self::ResetBeforeRequest
            | Self::Reset
            | Self::Refused
            | Self::Overflow => UNAVAILABLE,
            Self::TimedOut => DEADLINE_EXCEEDED,
        }
    }

    /// The word for it in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ResetBeforeRequest => "reset_before_request",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Overflow => "overflow",
        }
    }
}

/// Whether the server did its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It did, whatever the answer says about the request.
    Good,
    /// It did not: the next request may fare as badly.
    Bad,
}

/// Tells good outcomes from bad ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Classifier {
    /// HTTP: a status of 500 or above is bad.
    #[default]
    Http,
    /// gRPC: the codes that blame the server are bad. These are DEADLINE_EXCEEDED,
    /// RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE and DATA_LOSS, as in Envoy's admission
    /// control.
    Grpc,
    /// Every answer is good.
    Errors,
}

impl Classifier {
    /// Whether `outcome` is good. Failures never are; a gRPC status that is not known yet is.
    #[must_use]
    pub fn class(self, outcome: &Outcome<'_>) -> Class {
        let is_good = match (self, outcome) {
            (_, Outcome::Failed(_)) => false,
            (Self::Http, Outcome::Answer(answer)) => !answer.status.is_server_error(),
            (Self::Grpc, Outcome::Answer(_)) => {
                outcome.grpc_code().is_none_or(|code| !matches!(code, 4 | 8 | 10 | 13 | 14 | 15))
            }
            (Self::Errors, Outcome::Answer(_)) => true,
        };
        if is_good { Class::Good } else { Class::Bad }
    }
}

const DEADLINE_EXCEEDED: u16 = 4;
const UNAVAILABLE: u16 = 14;

/// The gRPC code of a response whose HTTP status is not 200 ("HTTP to gRPC Status Code Mapping").
fn code_of(status: StatusCode) -> Option<u16> {
    match status.as_u16() {
        200 => None,
        400 => Some(13),
        401 => Some(16),
        403 => Some(7),
        404 => Some(12),
        429 | 502 | 503 | 504 => Some(UNAVAILABLE),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(classifier: Classifier, status: u16, grpc: Option<&'static str>) -> Class {
        let mut headers = HeaderMap::new();
        if let Some(code) = grpc {
            headers.insert(GRPC_STATUS, http::HeaderValue::from_static(code));
        }
        let status = StatusCode::from_u16(status).unwrap();
        classifier.class(&Outcome::answer(status, &headers))
    }

    #[test]
    fn only_the_server_is_blamed() {
        use Class::{Bad, Good};
        use Classifier::{Errors, Grpc, Http};
        for (classifier, status, grpc, expect) in [
            (Http, 200, None, Good),
            (Http, 404, None, Good),
            (Http, 500, None, Bad),
            (Http, 200, Some("14"), Good),
            (Grpc, 200, None, Good),
            (Grpc, 200, Some("0"), Good),
            (Grpc, 200, Some("5"), Good),
            (Grpc, 200, Some("14"), Bad),
            (Grpc, 200, Some("13"), Bad),
            (Grpc, 200, Some("x"), Good),
            (Grpc, 503, None, Bad),
            (Grpc, 404, None, Good),
            (Errors, 500, Some("14"), Good),
        ] {
            let found = class(classifier, status, grpc);
            assert_eq!(found, expect, "{classifier:?} {status} {grpc:?}");
        }
        for failure in [Failure::Connect, Failure::Reset, Failure::TimedOut] {
            assert_eq!(Errors.class(&Outcome::Failed(failure)), Bad);
        }
    }

    #[test]
    fn callers_of_grpc_are_told_a_code() {
        let headers = HeaderMap::new();
        let answer = |status| Outcome::answer(StatusCode::from_u16(status).unwrap(), &headers);
        assert_eq!(answer(200).grpc_code(), None);
        assert_eq!(answer(429).grpc_code(), Some(14));
        assert_eq!(answer(418).grpc_code(), Some(2));
        assert_eq!(Outcome::Failed(Failure::TimedOut).grpc_code(), Some(4));
        assert_eq!(Outcome::Failed(Failure::Refused).grpc_code(), Some(14));
    }
}
