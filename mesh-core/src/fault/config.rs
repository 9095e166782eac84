use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use super::Percentage;
use super::percentage::number;
use crate::matcher::HeaderMatcher;
use crate::metadata::Fields;
use crate::request::RequestHead;
use crate::rng::Rng;

/// Which requests fail, and how (Envoy's `HTTPFault`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// Requests that are delayed.
    pub delay: Option<Delay>,
    /// Requests that are answered with an error, after their delay.
    pub abort: Option<Abort>,
    /// Requests whose answers come slowly (`response_rate_limit`).
    pub throttle: Option<Throttle>,
    /// What is asked of the header fields of such requests.
    pub headers: Vec<HeaderMatcher>,
    /// The cluster that they go to; any if `None`.
    pub upstream_cluster: Option<Box<str>>,
    /// The nodes that they come from, by their `x-envoy-downstream-service-node`; any if empty.
    pub downstream_nodes: Box<[Box<str>]>,
    /// How many requests at the most suffer at one time; any number if `None`.
    pub max_active: Option<u32>,
    /// What is noted of requests that are delayed or aborted (`filter_metadata`).
    pub notes: Option<Fields>,
}

/// Requests that are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// For how long.
    pub kind: DelayKind,
    /// Which share of them.
    pub percentage: Percentage,
}

/// How long a request is delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayKind {
    /// Always this long.
    Fixed(Duration),
    /// As it says itself: milliseconds in `x-envoy-fault-delay-request`, and the share in
    /// `x-envoy-fault-delay-request-percentage`.
    Header,
}

/// Requests that are answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// With which.
    pub kind: AbortKind,
    /// Which share of them.
    pub percentage: Percentage,
    /// The body of the answer, and gRPC's message.
    pub body: Bytes,
}

/// The error that requests are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortKind {
    /// An HTTP status.
    Http(StatusCode),
    /// A gRPC status, 0 to 16.
    Grpc(u8),
    /// What the request says itself: a status in `x-envoy-fault-abort-request` or
    /// `x-envoy-fault-abort-grpc-request`, and the share in `x-envoy-fault-abort-request-percentage`.
    Header,
}

/// The error that a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aborted {
    /// An HTTP status.
    Http(StatusCode),
    /// A gRPC status, 0 to 16. To HTTP callers it is a 200, as in Envoy.
    Grpc(u8),
}

/// Requests whose answers come slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How slowly.
    pub kind: ThrottleKind,
    /// Which share of them.
    pub percentage: Percentage,
}

/// How fast an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleKind {
    /// So many KiB in a second.
    Fixed(NonZeroU64),
    /// As the request says itself: KiB per second in `x-envoy-fault-throughput-response`, and the
    /// share in `x-envoy-fault-throughput-response-percentage`.
    Header,
}

impl Fault {
    /// Whether it is for the request `head` to `cluster`.
    #[must_use]
    pub fn matches(&self, head: &RequestHead<'_>, cluster: Option<&str>) -> bool {
        let goes_there = |own: &str| cluster == Some(own);
        let node = || head.headers.get(DOWNSTREAM_NODE);
        let is_from = |own: &str| node().is_some_and(|it| it.as_bytes() == own.as_bytes());
        self.upstream_cluster.as_deref().is_none_or(goes_there)
            && (self.downstream_nodes.is_empty()
                || self.downstream_nodes.iter().any(|own| is_from(own)))
            && self.headers.iter().all(|matcher| matcher.matches(head))
    }

    /// How long the request is delayed, if it is.
    pub fn delay(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Option<Duration> {
        let delay = self.delay.as_ref()?;
        let (time, share) = match delay.kind {
            DelayKind::Fixed(time) => (Some(time), delay.percentage.fraction()),
            DelayKind::Header => {
                let millis = number(head, &DELAY).map(Duration::from_millis);
                (millis, delay.percentage.asked(head, &DELAY_PERCENTAGE))
            }
        };
        time.filter(|time| !time.is_zero()).filter(|_| share.decide(rng))
    }

    /// The error that the request is answered with, if it is.
    pub fn abort(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Option<Aborted> {
        let abort = self.abort.as_ref()?;
        let (error, share) = match abort.kind {
            AbortKind::Http(status) => (Some(Aborted::Http(status)), abort.percentage.fraction()),
            AbortKind::Grpc(code) => (Some(Aborted::Grpc(code)), abort.percentage.fraction()),
            AbortKind::Header => {
                (asked_error(head), abort.percentage.asked(head, &ABORT_PERCENTAGE))
            }
        };
        error.filter(|_| share.decide(rng))
    }

    /// Bytes per second that the answer comes with, if it comes slowly.
    pub fn throttle(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Option<NonZeroU64> {
        let throttle = self.throttle.as_ref()?;
        let (kib, share) = match throttle.kind {
            ThrottleKind::Fixed(kib) => (Some(kib), throttle.percentage.fraction()),
            ThrottleKind::Header => {
                let kib = number(head, &THROUGHPUT).and_then(NonZeroU64::new);
                (kib, throttle.percentage.asked(head, &THROUGHPUT_PERCENTAGE))
            }
        };
        kib.filter(|_| share.decide(rng)).map(|kib| kib.saturating_mul(KIB))
    }
}

fn asked_error(head: &RequestHead<'_>) -> Option<Aborted> {
    let status = number(head, &ABORT).filter(|code| (200..600).contains(code));
    let status = status.and_then(|code| u16::try_from(code).ok());
    if let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) {
        return Some(Aborted::Http(status));
    }
    let code = number(head, &ABORT_GRPC)?;
    Some(Aborted::Grpc(u8::try_from(code).ok().filter(|code| *code <= 16).unwrap_or(UNKNOWN)))
}

/// gRPC's UNKNOWN, which stands for codes that there are not.
const UNKNOWN: u8 = 2;

const KIB: NonZeroU64 = NonZeroU64::new(1_024).expect("1024 is not 0");

const DOWNSTREAM_NODE: HeaderName = HeaderName::from_static("x-envoy-downstream-service-node");
const DELAY: HeaderName = HeaderName::from_static("x-envoy-fault-delay-request");
const DELAY_PERCENTAGE: HeaderName =
    HeaderName::from_static("x-envoy-fault-delay-request-percentage");
const ABORT: HeaderName = HeaderName::from_static("x-envoy-fault-abort-request");
const ABORT_GRPC: HeaderName = HeaderName::from_static("x-envoy-fault-abort-grpc-request");
const ABORT_PERCENTAGE: HeaderName =
    HeaderName::from_static("x-envoy-fault-abort-request-percentage");
const THROUGHPUT: HeaderName = HeaderName::from_static("x-envoy-fault-throughput-response");
const THROUGHPUT_PERCENTAGE: HeaderName =
    HeaderName::from_static("x-envoy-fault-throughput-response-percentage");
