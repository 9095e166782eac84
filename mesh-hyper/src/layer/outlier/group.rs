//! Endpoints that are compared with each other.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mesh_core::outlier::{Config, Consecutive, Counter, Event, Percent};

use super::OutlierLayer;
use crate::runtime;

/// Endpoints that are compared with each other: those that do worse are refused for a while.
///
/// Gives a layer for the service of each of them. Time passes with requests: nothing runs in
/// between, and there is no task.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use mesh_hyper::layer::Outliers;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let outliers = Outliers::consecutive(2);
/// let broken = service_fn(|_: Request<()>| async {
///     Ok::<_, Infallible>(Response::builder().status(500).body("broken").unwrap())
/// });
/// let (a, b) = (outliers.endpoint("a"), outliers.endpoint("b"));
/// for status in [500, 500, 503] {
///     let response = a.layer(broken).oneshot(Request::new(())).await.unwrap();
///     assert_eq!(response.status(), status);
/// }
/// assert!(a.is_ejected() && !b.is_ejected());
/// # }
/// ```
#[derive(Clone)]
pub struct Outliers(Arc<Group>);

struct Group {
    start: Instant,
    /// Nanoseconds after the start at which the next sweep is due.
    due: AtomicU64,
    state: Mutex<State>,
}

struct State {
    detector: mesh_core::outlier::Outlier<Arc<str>>,
    members: Vec<Weak<Member>>,
}

/// One endpoint, shared by its layers and services.
pub(super) struct Member {
    name: Arc<str>,
    group: Arc<Group>,
    counter: Arc<Counter>,
    is_ejected: AtomicBool,
}

impl Outliers {
    /// By settings of your own.
    ///
    /// With the default `max_ejection_percent` of 10 nobody is ejected among less than ten
    /// endpoints.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let start = runtime::now();
        let detector = mesh_core::outlier::Outlier::new(config, start);
        let state = Mutex::new(State { detector, members: Vec::new() });
        let group = Group { start, due: AtomicU64::new(0), state };
        let mut locked = group.lock();
        group.follow(&mut locked);
        drop(locked);
        Self(Arc::new(group))
    }

    /// Refuses an endpoint after so many failures in a row, and up to half of them at once, but one
    /// of them in any case.
    ///
    /// Of HTTP: gRPC calls are judged by rates alone ([gRFC A50]), for which there are settings of
    /// [`new`](Self::new), and have no rows.
    ///
    /// [gRFC A50]: https://github.com/grpc/proposal/blob/master/A50-xds-outlier-detection.md
    #[must_use]
    pub fn consecutive(failures: u32) -> Self {
        let row = Consecutive { threshold: failures, enforcing: Percent::ALL };
        Self::new(Config {
            consecutive_5xx: row,
            max_ejection_percent: Percent::new(50).unwrap_or(Percent::ALL),
            always_eject_one: true,
            ..Config::default()
        })
    }

    /// The layer for the endpoint called `name`, which belongs to the group as long as the layer or
    /// one of its services is there. The same name is the same endpoint.
    #[must_use]
    pub fn endpoint(&self, name: impl Into<Arc<str>>) -> OutlierLayer {
        OutlierLayer::new(self.0.clone().member(name.into()))
    }
}

impl State {
    /// Forgets endpoints that are not there any more, also how many of them are ejected.
    fn forget(&mut self) {
        let before = self.members.len();
        self.members.retain(|member| member.strong_count() > 0);
        if self.members.len() < before {
            let living = self.members.iter().filter_map(Weak::upgrade);
            let living: Vec<_> = living.map(|member| (member.name.clone(), 0)).collect();
            self.detector.set_endpoints(living);
        }
    }
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(self: Arc<Self>, name: Arc<str>) -> Arc<Member> {
        let mut state = self.lock();
        state.forget();
        let members: Vec<_> = state.members.iter().filter_map(Weak::upgrade).collect();
        if let Some(known) = members.iter().find(|member| member.name == name) {
            return known.clone();
        }
        let names = members.iter().map(|member| member.name.clone()).chain([name.clone()]);
        let names: Vec<_> = names.map(|name| (name, 0)).collect();
        state.detector.set_endpoints(names);
        let counter = state.detector.counter(&name).cloned().unwrap_or_default();
        let is_ejected = AtomicBool::new(false);
        let member = Arc::new(Member { name, group: self.clone(), counter, is_ejected });
        state.members.push(Arc::downgrade(&member));
        self.follow(&mut state);
        drop(state);
        member
    }

    /// Sweeps if it is time to.
    fn pass(&self, now: Instant) {
        if self.nanos(now) < self.due.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        state.forget();
        runtime::with_rng(|rng| state.detector.handle_timeout(now, rng));
        self.follow(&mut state);
    }

    fn tripped(&self) {
        let mut state = self.lock();
        state.forget();
        let now = runtime::now();
        runtime::with_rng(|rng| state.detector.handle_tripped(now, rng));
        self.follow(&mut state);
    }

    /// Tells the members what was decided.
    fn follow(&self, state: &mut State) {
        let due = state.detector.poll_timeout();
        self.due.store(due.map_or(u64::MAX, |due| self.nanos(due)), Ordering::Relaxed);
        while let Some(event) = state.detector.poll_event() {
            let (name, is_ejected) = match event {
                Event::Eject { endpoint, .. } => (endpoint, true),
                Event::Restore { endpoint } => (endpoint, false),
                Event::Spared { .. } => continue,
            };
            for member in state.members.iter().filter_map(Weak::upgrade) {
                if member.name == name {
                    member.is_ejected.store(is_ejected, Ordering::Relaxed);
                }
            }
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Member {
    /// Whether the endpoint gets no requests now.
    pub(super) fn is_ejected(&self) -> bool {
        self.group.pass(runtime::now());
        self.is_ejected.load(Ordering::Relaxed)
    }

    /// Counts an attempt; `outcome` says whether that may eject the endpoint.
    pub(super) fn count(&self, outcome: impl FnOnce(&Counter) -> bool) {
        if outcome(&self.counter) {
            self.group.tripped();
        }
    }
}

impl fmt::Debug for Outliers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        let members = state.members.iter().filter_map(Weak::upgrade);
        f.debug_list().entries(members.map(|member| member.name.clone())).finish()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("is_ejected", &self.is_ejected)
            .finish_non_exhaustive()
    }
}
