//! What an attempt tells the breaker of its endpoint, where the cluster has breakers.
//!
//! HTTP requests are judged by the head of the answer. gRPC calls are judged by their status, wherever
//! it is, and a probe by its first message. What the caller gives up says nothing, nor does a request
//! that was not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use mesh_core::breaker::{Change, Config, Ticket};
use mesh_core::classify::{Class, Classifier, Failure, Outcome};
use mesh_core::cluster::EndpointState;
use mesh_core::request::is_grpc;

use super::connection::Connection;
use crate::runtime;

/// An attempt whose breaker waits for what comes of it.
#[derive(Debug)]
pub(crate) struct Trial {
    config: Arc<Config>,
    ticket: Ticket,
    step: AtomicU8,
}

/// An HTTP request under way.
const HTTP: u8 = 0;
/// A gRPC call under way.
const GRPC: u8 = 1;
/// The breaker knows.
const TOLD: u8 = 2;

impl Trial {
    pub(crate) fn new(config: Arc<Config>, ticket: Ticket) -> Self {
        Self { config, ticket, step: AtomicU8::new(HTTP) }
    }

    pub(super) fn sent(&self, headers: &HeaderMap) {
        if headers.get(CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes())) {
            self.step.store(GRPC, Ordering::Relaxed);
        }
    }

    pub(super) fn answered(&self, on: &Connection, status: StatusCode, headers: &HeaderMap) {
        let outcome = Outcome::answer(status, headers);
        let class = match self.step.load(Ordering::Relaxed) {
            HTTP => Classifier::Http.class(&outcome),
            GRPC if outcome.grpc_code().is_some() => Classifier::Grpc.class(&outcome),
            _ => return,
        };
        self.tell(on, class, wanted(headers));
    }

    /// A message of a gRPC answer has come: streams may be long, and others wait to know that there
    /// is one.
    pub(super) fn streamed(&self, on: &Connection) {
        if self.ticket.is_probe() && self.step.load(Ordering::Relaxed) == GRPC {
            self.tell(on, Class::Good, None);
        }
    }

    pub(super) fn ended(&self, on: &Connection, trailers: Option<&HeaderMap>) {
        if self.step.load(Ordering::Relaxed) != GRPC {
            return;
        }
        // There has to be a status.
        let none = HeaderMap::new();
        let trailers = trailers.unwrap_or(&none);
        let outcome = Outcome::answer(StatusCode::OK, trailers);
        let class = match outcome.grpc_code() {
            Some(_) => Classifier::Grpc.class(&outcome),
            None => Class::Bad,
        };
        self.tell(on, class, wanted(trailers));
    }

    pub(super) fn failed(&self, on: &Connection, failure: Failure) {
        self.tell(on, Classifier::Errors.class(&Outcome::Failed(failure)), None);
    }

    /// Nothing more comes of the attempt.
    pub(super) fn over(&self, endpoint: &EndpointState) {
        if self.step.swap(TOLD, Ordering::Relaxed) != TOLD {
            endpoint.breaker().forget(self.ticket);
        }
    }

    fn tell(&self, on: &Connection, class: Class, retry_after: Option<Duration>) {
        if self.step.swap(TOLD, Ordering::Relaxed) == TOLD {
            return;
        }
        let (breaker, now) = (on.endpoint.state.breaker(), runtime::now());
        let outcome = (class, retry_after);
        let change =
            runtime::with_rng(|rng| breaker.done(self.ticket, &self.config, outcome, now, rng));
        let (cluster, address) = (&*on.signals.cluster, &on.endpoint.address);
        match change {
            Change::None => {}
            Change::Opened(wait) => {
                tracing::warn!(cluster, %address, ?wait, "the breaker of an endpoint refuses calls");
            }
            Change::Closed => {
                tracing::info!(cluster, %address, "the breaker of an endpoint lets calls pass again");
            }
        }
    }
}

/// How long a server wants to be left alone: `Retry-After` in either form, or
/// `grpc-retry-pushback-ms`.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(text) = text(RETRY_AFTER.as_str()) {
        let seconds = text.parse().map(Duration::from_secs).ok();
        return seconds.or_else(|| until(httpdate::parse_http_date(text).ok()?));
    }
    text("grpc-retry-pushback-ms")?.parse().map(Duration::from_millis).ok()
}

fn until(time: SystemTime) -> Option<Duration> {
    time.duration_since(runtime::wall()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn servers_say_how_long_to_leave_them_alone() {
        let wanted = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            wanted(&headers)
        };
        assert_eq!(wanted("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wanted("grpc-retry-pushback-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wanted("grpc-retry-pushback-ms", "-1"), None);
        let later = runtime::wall() + Duration::from_secs(100);
        let later = wanted("retry-after", &httpdate::fmt_http_date(later)).unwrap();
        assert!((98..=100).contains(&later.as_secs()), "{later:?}");
        assert_eq!(wanted("retry-after", "soon"), None);
        assert_eq!(wanted("x", "7"), None);
    }
}
