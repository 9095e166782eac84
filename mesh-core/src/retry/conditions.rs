use std::fmt;
use std::ops::BitOr;

/// A set of reasons to send a request again (Envoy's `retry_on`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Conditions(u32);

impl Conditions {
    /// Nothing is sent again.
    pub const NONE: Self = Self(0);
    /// `5xx`: a status of 500 or above, or no answer at all.
    pub const SERVER_ERROR: Self = Self(1);
    /// `gateway-error`: status 502, 503 or 504, or no answer at all.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// `reset`: no answer at all.
    pub const RESET: Self = Self(1 << 2);
    /// `reset-before-request`: no answer, and the head of the request was not sent.
    pub const RESET_BEFORE_REQUEST: Self = Self(1 << 3);
    /// `connect-failure`: no connection could be had.
    pub const CONNECT_FAILURE: Self = Self(1 << 4);
    /// `envoy-ratelimited`: the answer has `x-envoy-ratelimited`.
    pub const RATE_LIMITED: Self = Self(1 << 5);
    /// `retriable-4xx`: status 409.
    pub const RETRIABLE_4XX: Self = Self(1 << 6);
    /// `refused-stream`: the server gave the request back untouched.
    pub const REFUSED_STREAM: Self = Self(1 << 7);
    /// `retriable-status-codes`: a status that the policy lists.
    pub const STATUS_CODES: Self = Self(1 << 8);
    /// `retriable-headers`: an answer with a header field that the policy describes.
    pub const HEADERS: Self = Self(1 << 9);
    /// `http3-post-connect-failure`. We do not speak HTTP/3: read, and never the case.
    pub const HTTP3_POST_CONNECT_FAILURE: Self = Self(1 << 10);
    /// `cancelled`: gRPC status 1.
    pub const CANCELLED: Self = Self(1 << 11);
    /// `deadline-exceeded`: gRPC status 4.
    pub const DEADLINE_EXCEEDED: Self = Self(1 << 12);
    /// `internal`: gRPC status 13.
    pub const INTERNAL: Self = Self(1 << 13);
    /// `resource-exhausted`: gRPC status 8.
    pub const RESOURCE_EXHAUSTED: Self = Self(1 << 14);
    /// `unavailable`: gRPC status 14.
    pub const UNAVAILABLE: Self = Self(1 << 15);

    /// The conditions in a list such as `5xx,reset`. White space and case do not matter; words
    /// that are not known are left out (gRFC A44, Envoy).
    #[must_use]
    pub fn parse(list: &str) -> Self {
        list.split(',').map(str::trim).fold(Self::NONE, |all, word| {
            let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            all | known.map_or(Self::NONE, |(_, condition)| *condition)
        })
    }

    /// Each condition by itself, in the order in which [`Display`](fmt::Display) names them.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(_, condition)| *condition)
    }

    /// Those of them that are about gRPC status codes (`x-envoy-retry-grpc-on`, gRFC A44).
    #[must_use]
    pub fn of_grpc(self) -> Self {
        Self(self.0 & GRPC)
    }

    /// Those of them that are about HTTP (`x-envoy-retry-on`).
    #[must_use]
    pub fn of_http(self) -> Self {
        Self(self.0 & !GRPC)
    }

    /// Those of them, also as part of wider ones, before which no server can have carried the
    /// request out.
    pub(super) fn of_untouched(self) -> Self {
        let untouched = Self::CONNECT_FAILURE | Self::RESET_BEFORE_REQUEST | Self::REFUSED_STREAM;
        match self.has(Self::SERVER_ERROR | Self::GATEWAY_ERROR | Self::RESET) {
            true => untouched,
            false => Self(self.0 & untouched.0),
        }
    }

    /// Whether one of `others` is among them.
    #[must_use]
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The condition about this gRPC status code.
    pub(super) fn grpc(code: u16) -> Self {
        match code {
            1 => Self::CANCELLED,
            4 => Self::DEADLINE_EXCEEDED,
            8 => Self::RESOURCE_EXHAUSTED,
            13 => Self::INTERNAL,
            14 => Self::UNAVAILABLE,
            _ => Self::NONE,
        }
    }

    /// The first of `candidates` that is among them.
    pub(super) fn first(self, candidates: &[Self]) -> Option<Self> {
        candidates.iter().copied().find(|candidate| self.has(*candidate))
    }
}

impl BitOr for Conditions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The words of `retry_on`, separated by commas.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = NAMES.iter().filter(|(_, condition)| self.has(*condition));
        if let Some((name, _)) = words.next() {
            f.write_str(name)?;
        }
        words.try_for_each(|(name, _)| write!(f, ",{name}"))
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conditions({self})")
    }
}

const GRPC: u32 = Conditions::CANCELLED.0
    | Conditions::DEADLINE_EXCEEDED.0
    | Conditions::INTERNAL.0
    | Conditions::RESOURCE_EXHAUSTED.0
    | Conditions::UNAVAILABLE.0;

const NAMES: [(&str, Conditions); 16] = [
    ("5xx", Conditions::SERVER_ERROR),
    ("gateway-error", Conditions::GATEWAY_ERROR),
    ("reset", Conditions::RESET),
    ("reset-before-request", Conditions::RESET_BEFORE_REQUEST),
    ("connect-failure", Conditions::CONNECT_FAILURE),
    ("envoy-ratelimited", Conditions::RATE_LIMITED),
    ("retriable-4xx", Conditions::RETRIABLE_4XX),
    ("refused-stream", Conditions::REFUSED_STREAM),
    ("retriable-status-codes", Conditions::STATUS_CODES),
    ("retriable-headers", Conditions::HEADERS),
    ("http3-post-connect-failure", Conditions::HTTP3_POST_CONNECT_FAILURE),
    ("cancelled", Conditions::CANCELLED),
    ("deadline-exceeded", Conditions::DEADLINE_EXCEEDED),
    ("internal", Conditions::INTERNAL),
    ("resource-exhausted", Conditions::RESOURCE_EXHAUSTED),
    ("unavailable", Conditions::UNAVAILABLE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_envoy_and_grpc_do() {
        for (list, expect) in [
            ("", ""),
            ("5xx", "5xx"),
            (" Unavailable , reset,nonsense", "reset,unavailable"),
            ("503", ""),
            (
                "connect-failure,refused-stream,cancelled",
                "connect-failure,refused-stream,cancelled",
            ),
        ] {
            assert_eq!(Conditions::parse(list).to_string(), expect, "{list:?}");
        }
        let all: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(Conditions::parse(&all.join(",")).to_string(), all.join(","));
    }

    #[test]
    fn conditions_of_grpc_and_http_are_apart() {
        let both = Conditions::parse("5xx,unavailable");
        assert_eq!(both.of_grpc(), Conditions::UNAVAILABLE);
        assert_eq!(both.of_http(), Conditions::SERVER_ERROR);
        assert!(both.of_http().of_grpc().is_empty());
    }
}
