//! What a backend has been told to do, and what it has seen.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::mpsc;

use super::reply::Reply;
use crate::Mesh;
use crate::body::Body;
use crate::error::BoxError;

/// A response, some time later.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

/// Answers requests.
pub(super) type Service = Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// How an open connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Takes nothing new and answers what it has.
    GoAway,
    /// At once.
    Broken,
}

/// What is behind a name: a cluster or an address.
#[derive(Default)]
pub(super) struct Stand(Mutex<State>);

#[derive(Default)]
struct State {
    script: Script,
    requests: u64,
    connections: u64,
    open: Vec<mpsc::UnboundedSender<End>>,
}

/// What a backend has been told to do. Nothing by default.
#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) failing: Option<Failing>,
    pub(super) delay: Option<Duration>,
    pub(super) service: Option<Service>,
    pub(super) is_refusing: bool,
    /// What is said on each connection instead of answers.
    pub(super) words: Option<Arc<[Bytes]>>,
    /// Whose server its connections are served as.
    pub(super) mesh: Option<Mesh>,
}

/// Requests that fail.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    /// Every so many of them; none if 0.
    every: u64,
    /// Requests since it was told.
    seen: u64,
    reply: Reply,
}

/// What to do with one request.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) failure: Option<Reply>,
    pub(super) delay: Option<Duration>,
    pub(super) service: Option<Service>,
}

impl Failing {
    pub(super) fn new(every: u64, reply: Reply) -> Self {
        Self { every, seen: 0, reply }
    }

    fn turn(&mut self) -> Option<Reply> {
        self.seen += 1;
        self.seen.is_multiple_of(self.every).then(|| self.reply.clone())
    }
}

impl Stand {
    /// Changes what it has been told.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state().script);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.state().script.is_refusing
    }

    pub(super) fn words(&self) -> Option<Arc<[Bytes]>> {
        self.state().script.words.clone()
    }

    pub(super) fn mesh(&self) -> Option<Mesh> {
        self.state().script.mesh.clone()
    }

    pub(super) fn requests(&self) -> u64 {
        self.state().requests
    }

    pub(super) fn connections(&self) -> u64 {
        self.state().connections
    }

    /// Counts a request, and says what to do with it as far as that has been told.
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.state();
        state.requests += 1;
        let script = &mut state.script;
        Turn {
            failure: script.failing.as_mut().and_then(Failing::turn),
            delay: script.delay,
            service: script.service.clone(),
        }
    }

    /// Counts a connection that hears of its end by `end`.
    pub(super) fn connected(&self, end: mpsc::UnboundedSender<End>) {
        let mut state = self.state();
        state.connections += 1;
        state.open.retain(|open| !open.is_closed());
        state.open.push(end);
    }

    /// Ends all connections that are open.
    pub(super) fn end(&self, how: End) {
        for open in std::mem::take(&mut self.state().open) {
            // It may have ended by itself.
            open.send(how).ok();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// What `self` says, and `other` where it says nothing.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            failure: self.failure.or(other.failure),
            delay: self.delay.or(other.delay),
            service: self.service.or(other.service),
        }
    }
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Stand")
            .field("requests", &state.requests)
            .field("connections", &state.connections)
            .field("failing", &state.script.failing)
            .field("delay", &state.script.delay)
            .field("is_refusing", &state.script.is_refusing)
            .finish_non_exhaustive()
    }
}
