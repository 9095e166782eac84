//! What became of a test's requests.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mesh_core::cluster::Address;

use super::BACKEND;
use super::reply::GRPC_STATUS;
use crate::body::Collected;
use crate::error::Error;

/// What became of a test's requests.
#[derive(Debug)]
pub struct Seen {
    answers: Vec<Answer>,
    elapsed: Duration,
}

impl Seen {
    pub(super) fn new(answers: Vec<Answer>, elapsed: Duration) -> Self {
        Self { answers, elapsed }
    }

    /// How many were answered by `backend`, whatever the answer: a cluster such as `reviews/v1`, a
    /// version of any service such as `v1`, or an endpoint such as `127.0.0.1:9081`.
    #[must_use]
    pub fn count(&self, backend: &str) -> usize {
        self.answers.iter().filter(|answer| answer.is_from(backend)).count()
    }

    /// How many [failed](Answer::is_failure).
    #[must_use]
    pub fn failures(&self) -> usize {
        self.answers.iter().filter(|answer| answer.is_failure()).count()
    }

    /// How many had each HTTP status. Those that the mesh could not complete have none.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        counted(self.answers.iter().filter_map(|answer| answer.status().map(|it| it.as_u16())))
    }

    /// How many had each gRPC status. Those that the mesh could not complete have none.
    #[must_use]
    pub fn grpc_statuses(&self) -> BTreeMap<u16, usize> {
        counted(self.answers.iter().filter_map(Answer::grpc_status))
    }

    /// Why requests could not be completed, and how many for each reason.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, usize> {
        counted(self.answers.iter().filter_map(|answer| answer.error().map(Error::to_string)))
    }

    /// How much time has gone by on the test's clock from the first request to the last answer.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The answers in the order of their requests.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }
}

fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// What became of one request.
#[derive(Debug)]
pub struct Answer {
    received: Result<Received, Error>,
    elapsed: Duration,
    is_grpc: bool,
}

/// A response with its content.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) head: http::response::Parts,
    pub(super) body: Collected,
    pub(super) upstream: Option<Address>,
    pub(super) attempts: u32,
}

impl Answer {
    pub(super) fn new(received: Result<Received, Error>, elapsed: Duration, is_grpc: bool) -> Self {
        Self { received, elapsed, is_grpc }
    }

    /// Whether the mesh could not complete it, or its HTTP status is 500 or above, or it was a gRPC
    /// call whose status is not OK.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self.status() {
            None => true,
            Some(_) if self.is_grpc => self.grpc_status() != Some(0),
            Some(status) => status.is_server_error(),
        }
    }

    /// The HTTP status; `None` if the mesh could not complete it.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.received().map(|it| it.head.status)
    }

    /// The gRPC status, if the response has one.
    #[must_use]
    pub fn grpc_status(&self) -> Option<u16> {
        let trailers = self.trailers().and_then(|trailers| trailers.get(GRPC_STATUS));
        let field = trailers.or_else(|| self.received()?.head.headers.get(GRPC_STATUS))?;
        field.to_str().ok()?.parse().ok()
    }

    /// A header field of the response, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.received()?.head.headers.get(name)?.to_str().ok()
    }

    /// The header fields of the response.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.received().map(|it| &it.head.headers)
    }

    /// The trailers of the response, if it has any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.received()?.body.trailers.as_ref()
    }

    /// The content of the response; empty if the mesh could not complete it.
    #[must_use]
    pub fn content(&self) -> Bytes {
        self.received().map(|it| it.body.content.clone()).unwrap_or_default()
    }

    /// The content as text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content()).into_owned()
    }

    /// The cluster that has answered; several, with `, ` between them, where they share the address.
    /// `None` if it was the mesh itself.
    #[must_use]
    pub fn backend(&self) -> Option<&str> {
        self.received()?.upstream.as_ref().and_then(|_| self.header(BACKEND.as_str()))
    }

    /// The endpoint that has answered; if the mesh could not complete it, the one that it was last
    /// sent to.
    #[must_use]
    pub fn upstream(&self) -> Option<&Address> {
        match &self.received {
            Ok(received) => received.upstream.as_ref(),
            Err(error) => error.upstream(),
        }
    }

    /// How often it was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match &self.received {
            Ok(received) => received.attempts,
            Err(error) => error.attempts(),
        }
    }

    /// How much time has gone by on the test's clock, to the end of the content.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Why the mesh could not complete it.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.received.as_ref().err()
    }

    fn received(&self) -> Option<&Received> {
        self.received.as_ref().ok()
    }

    fn is_from(&self, name: &str) -> bool {
        let Some(upstream) = self.received().and_then(|it| it.upstream.as_ref()) else {
            return false;
        };
        let is_version =
            |cluster: &str| cluster.rsplit_once('/').is_some_and(|(_, version)| version == name);
        let mut clusters = self.backend().unwrap_or_default().split(", ");
        clusters.any(|it| it == name || is_version(it)) || upstream.to_string() == name
    }
}
