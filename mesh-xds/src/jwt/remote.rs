//! Keys that are fetched, and how long they are good for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use mesh_core::filter::Awaited;
use mesh_core::side::{Call, Encoding, Failure, Reply};

use super::Keys;

/// How long keys are used that are due to be fetched again and cannot be.
const MAX_STALE: Duration = Duration::from_secs(3600);

/// How old keys are at the least when a token that names an unknown one has them fetched again.
const MIN_AGE: Duration = Duration::from_secs(30);

/// Where keys are fetched from, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The cluster (`http_uri.cluster`).
    pub(crate) cluster: Arc<str>,
    /// `:authority` and `:path` of `http_uri.uri`.
    pub(crate) authority: Arc<str>,
    pub(crate) path: Arc<str>,
    /// `http_uri.timeout`.
    pub(crate) timeout: Duration,
    /// How long keys are good for (`cache_duration`, 10 min by default).
    pub(crate) cache: Duration,
    /// How long after a failed fetch there is no other (`failed_refetch_duration`, 1 s by default).
    pub(crate) pause: Duration,
}

/// Keys that are fetched. Fetching is the work of one request at a time: others use what is there,
/// or wait for it.
pub(crate) struct RemoteKeys {
    remote: Remote,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The keys, and since when they are there.
    keys: Option<(Arc<Keys>, Instant)>,
    /// No fetch before this, because the last one failed.
    pause_until: Option<Instant>,
    /// Whether a request fetches.
    is_fetching: bool,
    /// How many fetches are over.
    ended: u64,
    /// Those who wait for the end of this one.
    waiting: BTreeMap<u64, Waker>,
    /// How many have waited so far.
    waiters: u64,
}

/// What a request does for its keys.
#[derive(Debug)]
pub(super) enum Look {
    /// Uses these.
    Use(Arc<Keys>),
    /// Fetches them.
    Fetch(Flight),
    /// Looks again when another request has fetched them, or has given that up.
    Wait(Landing),
    /// Does without, and denies: they cannot be fetched.
    Fail,
}

/// A fetch under way. Dropping it gives it up, so that another request may fetch.
pub(super) struct Flight {
    keys: Arc<RemoteKeys>,
}

impl RemoteKeys {
    pub(crate) fn new(remote: Remote) -> Arc<Self> {
        Arc::new(Self { remote, state: Mutex::default() })
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// What to do for the keys at `now`.
    pub(super) fn look(self: &Arc<Self>, now: Instant) -> Look {
        self.with(|state| {
            let usable = state
                .keys
                .as_ref()
                .map(|(keys, since)| (keys.clone(), now.saturating_duration_since(*since)));
            let usable =
                usable.filter(|(_, age)| *age < self.remote.cache.saturating_add(MAX_STALE));
            match usable {
                Some((keys, age)) if age < self.remote.cache => Look::Use(keys),
                // Who fetches waits for it; all others go on with what is there.
                Some((keys, _)) if state.is_fetching || state.pauses(now) => Look::Use(keys),
                None if state.is_fetching => Look::Wait(self.landing(state)),
                None if state.pauses(now) => Look::Fail,
                Some(_) | None => Look::Fetch(self.depart(state)),
            }
        })
    }

    /// The same for a token that names a key which is not among those that are there. Keys are
    /// fetched again so soon for its sake that no stranger can keep anybody busy.
    pub(super) fn look_again(self: &Arc<Self>, now: Instant) -> Look {
        self.with(|state| {
            let age = state.keys.as_ref().map(|(_, since)| now.saturating_duration_since(*since));
            if age.is_some_and(|age| age < MIN_AGE) || state.pauses(now) {
                Look::Fail
            } else if state.is_fetching {
                Look::Wait(self.landing(state))
            } else {
                Look::Fetch(self.depart(state))
            }
        })
    }

    fn depart(self: &Arc<Self>, state: &mut State) -> Flight {
        state.is_fetching = true;
        Flight { keys: self.clone() }
    }

    fn landing(self: &Arc<Self>, state: &mut State) -> Landing {
        state.waiters += 1;
        Landing { keys: self.clone(), number: state.waiters, ended: state.ended }
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        // No state is left half-changed.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn pauses(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| now < until)
    }
}

impl Flight {
    /// The call that fetches.
    pub(super) fn call(&self) -> Call {
        let Remote { cluster, authority, path, timeout, .. } = &self.keys.remote;
        Call {
            cluster: cluster.clone(),
            authority: authority.clone(),
            path: path.clone(),
            headers: HeaderMap::new(),
            encoding: Encoding::Http(Method::GET),
            message: Bytes::new(),
            timeout: *timeout,
        }
    }

    /// Takes in what came of it. Keys that are there are kept when it failed.
    pub(super) fn land(self, answer: Result<Reply, Failure>, now: Instant) {
        let body = answer.ok().filter(|reply| reply.status == StatusCode::OK);
        let keys = body.and_then(|reply| Keys::parse(&reply.message).ok());
        self.keys.with(|state| match keys {
            Some(keys) => {
                state.keys = Some((Arc::new(keys), now));
                state.pause_until = None;
            }
            None => state.pause_until = now.checked_add(self.keys.remote.pause),
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let waiting = self.keys.with(|state| {
            state.is_fetching = false;
            state.ended += 1;
            std::mem::take(&mut state.waiting)
        });
        waiting.into_values().for_each(Waker::wake);
    }
}

/// The end of another request's fetch, whatever comes of it.
pub(super) struct Landing {
    keys: Arc<RemoteKeys>,
    /// Which of those who have waited this is.
    number: u64,
    /// How many fetches were over before that one.
    ended: u64,
}

impl Landing {
    /// When it is over at the latest, from `now`: a fetch takes no longer.
    pub(super) fn latest(&self, now: Instant) -> Instant {
        now + self.keys.remote.timeout.min(MAX_STALE)
    }
}

impl Awaited for Landing {
    fn poll_happened(&mut self, waker: &Waker) -> Poll<()> {
        self.keys.with(|state| {
            if state.ended != self.ended {
                return Poll::Ready(());
            }
            state.waiting.insert(self.number, waker.clone());
            Poll::Pending
        })
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.keys.with(|state| state.waiting.remove(&self.number));
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Landing").field(&self.keys.remote.path).finish()
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flight").field(&self.keys.remote.path).finish()
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").field("remote", &self.remote).finish_non_exhaustive()
    }
}
