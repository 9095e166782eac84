//! What an attempt tells the breaker of its endpoint, where the cluster has breakers.
//!
//! HTTP requests are judged by the head of the answer. gRPC calls are judged by their status, wherever
//! it is, and a probe by its first message. What the caller gives up says nothing, nor does a request
//! that was not sent.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use mesh_core::breaker::{Change, Ticket};
use mesh_core::classify::{Class, Classifier, Failure, Outcome};
use mesh_core::record;
use mesh_core::request::Protocol;

use super::connection::Stream;
use super::watch::{GRPC, HTTP, OFF};
use crate::runtime;

impl Stream {
    /// The same, on which a breaker has let an attempt through.
    pub(crate) fn on_trial(mut self, ticket: Ticket) -> Self {
        self.1.ticket = ticket;
        *self.1.trial.get_mut() = HTTP;
        self
    }

    /// Whether a breaker waits for what comes of the attempt.
    #[inline]
    pub(super) fn is_on_trial(&self) -> bool {
        self.trial() != OFF
    }

    #[inline]
    fn trial(&self) -> u8 {
        self.1.trial.load(Ordering::Relaxed)
    }

    #[cold]
    pub(super) fn tried(&self, headers: &HeaderMap) {
        if Protocol::of(headers) == Protocol::Grpc {
            self.1.trial.store(GRPC, Ordering::Relaxed);
        }
    }

    #[cold]
    pub(super) fn judge_head(&self, status: StatusCode, headers: &HeaderMap) {
        let outcome = Outcome::answer(status, headers);
        let class = match self.trial() {
            HTTP => Classifier::Http.class(&outcome),
            GRPC if outcome.grpc_code().is_some() => Classifier::Grpc.class(&outcome),
            _ => return,
        };
        self.tell(class, wanted(headers));
    }

    /// A part of the answer's body has come. Streams may be long, and others wait to know that a
    /// probe has a message.
    #[inline]
    pub(crate) fn streamed(&self) {
        if self.trial() == GRPC && self.1.ticket.is_probe() {
            self.tell(Class::Good, None);
        }
    }

    #[cold]
    pub(super) fn judge_end(&self, trailers: Option<&HeaderMap>) {
        if self.trial() != GRPC {
            return;
        }
        let none = HeaderMap::new();
        let trailers = trailers.unwrap_or(&none);
        let outcome = Outcome::answer(StatusCode::OK, trailers);
        let class = match outcome.grpc_code() {
            Some(_) => Classifier::Grpc.class(&outcome),
            // There has to be a status.
            None => Class::Bad,
        };
        self.tell(class, wanted(trailers));
    }

    #[cold]
    pub(super) fn judge_failure(&self, failure: Failure) {
        self.tell(Classifier::Errors.class(&Outcome::Failed(failure)), None);
    }

    /// Nothing more comes of the attempt.
    #[cold]
    pub(super) fn end_trial(&self) {
        if self.1.trial.swap(OFF, Ordering::Relaxed) != OFF {
            self.0.endpoint.state.breaker().forget(self.1.ticket);
        }
    }

    #[cold]
    fn tell(&self, class: Class, retry_after: Option<Duration>) {
        let connection = &*self.0;
        let config = connection.breaker.load();
        // Without a configuration by now, nobody wants to know.
        let Some(config) = &*config else { return };
        if self.1.trial.swap(OFF, Ordering::Relaxed) == OFF {
            return;
        }
        let (breaker, now) = (connection.endpoint.state.breaker(), runtime::now());
        let (ticket, outcome) = (self.1.ticket, (class, retry_after));
        let change = runtime::with_rng(|rng| breaker.done(ticket, config, outcome, now, rng));
        let change = match change {
            Change::None => return,
            Change::Opened(wait) => record::Breaker::Refuses(wait),
            Change::Closed => record::Breaker::Passes,
        };
        connection.signals.breaker(&connection.endpoint, change);
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
