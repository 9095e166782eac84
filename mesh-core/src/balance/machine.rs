//! The state machine as the shell drives it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{Phase, Status};
use super::table::Table;
use super::{Action, Closed, Condition, ConnectionId, View};
use crate::backoff::Backoff;
use crate::cluster::Policy;
use crate::cluster::{Endpoint, Identity, Version};
use crate::rng::Rng;

/// How long an idle cluster remembers its endpoints. The longest backoff has then passed, so that
/// nothing is lost.
const REMEMBER: Duration = Duration::from_secs(150);

/// How long a cluster without a connection keeps trying when no call wants it (gRPC's idle
/// timeout).
const TRY: Duration = Duration::from_secs(30 * 60);

/// How many connections in a row may end in good order, and without a call, until that is a failure.
/// A few are bad luck; a peer that does nothing else must not be connected to all the time.
const UNUSED: u32 = 5;

/// Decides for one cluster what to connect to and which connections take calls.
///
/// After each call of a `handle_` method or of [`reconfigure`](Self::reconfigure): carry out
/// [`poll_action`](Self::poll_action) until `None`, look at [`view`](Self::view) and
/// [`condition`](Self::condition) if [`take_changed`](Self::take_changed), and arrange for
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Balance {
    version: Arc<Version>,
    /// Usable endpoints of the version.
    usable: usize,
    /// Whether a demand has come, and the cluster has not been left alone since.
    awake: bool,
    pub(super) table: Table,
    /// The active priority.
    pub(super) current: Option<usize>,
    idle_since: Option<Instant>,
    /// Since when there has been neither an open connection nor a demand.
    unused_since: Option<Instant>,
    /// Until when others than the active priority are shown.
    pub(super) aside_until: Option<Instant>,
}

impl Balance {
    /// A balance that connects to nothing before [`handle_demand`](Self::handle_demand).
    #[must_use]
    pub fn new(version: Arc<Version>, _now: Instant) -> Self {
        Self {
            usable: usable(&version),
            version,
            awake: false,
            table: Table { changed: true, ..Table::default() },
            current: None,
            idle_since: None,
            unused_since: None,
            aside_until: None,
        }
    }

    /// Takes a new description of the cluster.
    ///
    /// Endpoints that stay keep their connections, also when they move between localities and
    /// priorities. If the settings of connections change, each is retired as soon as another one
    /// to its endpoint has been opened.
    pub fn reconfigure(&mut self, version: Arc<Version>, now: Instant) {
        let old = std::mem::replace(&mut self.version, version);
        self.usable = usable(&self.version);
        self.table.changed = true;
        if self.awake {
            self.table.rebuild(&self.version, &old, now);
            self.settle(now);
        }
    }

    /// A call wants the cluster. Cheap and without effect if it is being connected to already.
    pub fn handle_demand(&mut self, now: Instant) {
        if !self.awake {
            self.awake = true;
            self.table.rebuild(&self.version, &self.version, now);
        }
        let active = self.current.map_or(0, |current| current + 1);
        for priority in 0..active {
            self.rouse(priority, now);
        }
        self.unused_since = None;
        self.settle(now);
    }

    /// All connections of an endpoint are at their stream limit (gRFC A105): opens another, if
    /// fewer than `per_endpoint` are open and none is being opened. Nor is one where the cluster has
    /// `max_connections`, which no endpoint's first connection is bound by (Envoy). In an aggregate
    /// both are the leaf's.
    pub fn handle_saturated(&mut self, endpoint: &Arc<Endpoint>, now: Instant) {
        let Some(&slot) = self.table.index.get(&Identity::from(endpoint.clone())) else { return };
        let entry = &self.table.entries[slot];
        let leaf = self.version.assignment.leaf(self.table.priorities[entry.priority].number);
        let config = leaf.map_or(&self.version.config, |leaf| &leaf.version.config);
        let most = usize::try_from(config.connections.per_endpoint);
        let all = usize::try_from(config.limits.max_connections);
        let there = match leaf {
            Some(leaf) => self.table.connections(&leaf.priorities),
            None => self.table.open + self.table.attempts,
        };
        let is_room =
            entry.open.len() < most.unwrap_or(usize::MAX) && there < all.unwrap_or(usize::MAX);
        if entry.phase == Phase::Rest && !entry.open.is_empty() && is_room {
            // What is full has served.
            self.table.edit(slot, |entry| (entry.failures, entry.unused) = (0, 0));
            // Before endpoints that nobody waits for.
            self.table.queue_first(slot);
            self.settle(now);
        }
    }

    /// A connection is open.
    pub fn handle_connected(&mut self, id: ConnectionId, now: Instant) {
        let Some(&slot) = self.table.live.get(&id) else {
            // It was given up, which the shell did not know yet.
            if id.0 < self.table.next {
                self.table.actions.push_back(Action::Retire { id });
            }
            return;
        };
        if self.table.entries[slot].phase != Phase::Trying(id) {
            return;
        }
        self.table.set_phase(slot, Phase::Rest);
        self.table.add_open(slot, id);
        self.table.edit(slot, |entry| entry.failed = false);
        let fresh = self.table.fresh;
        self.table.retire(slot, |open| open.0 < fresh);
        self.table.select_first(slot);
        self.settle(now);
    }

    /// An attempt failed.
    pub fn handle_failed(
        &mut self,
        id: ConnectionId,
        why: Arc<str>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let Some(&slot) = self.table.live.get(&id) else { return };
        if self.table.entries[slot].phase != Phase::Trying(id) {
            let closed = Closed { why, served: false, orderly: false, idle: false };
            return self.handle_closed(id, closed, now, rng);
        }
        self.table.set_phase(slot, Phase::Rest);
        self.fail(slot, why, now, rng);
        self.table.fail_first(slot, now);
        self.settle(now);
    }

    /// An open connection is gone, or takes no new calls (GOAWAY, age, I/O error, idle).
    pub fn handle_closed(
        &mut self,
        id: ConnectionId,
        closed: Closed,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let Some(&slot) = self.table.live.get(&id) else { return };
        if self.table.entries[slot].phase == Phase::Trying(id) {
            return self.handle_failed(id, closed.why, now, rng);
        }
        self.table.remove_open(slot, id);
        let is_last = self.table.entries[slot].open.is_empty();
        if is_last {
            self.table.lose_first(slot);
        }
        let mut failed = !closed.idle && !closed.served;
        self.table.edit(slot, |entry| {
            if closed.served {
                (entry.failures, entry.unused) = (0, 0);
            } else if failed && closed.orderly && entry.failures == 0 && entry.unused < UNUSED {
                entry.unused += 1;
                failed = false;
            }
        });
        if failed {
            self.fail(slot, closed.why, now, rng);
        } else if is_last && !self.table.entries[slot].is_trying() {
            self.table.set_phase(slot, Phase::Rest);
            let priority = self.table.priority_of(slot);
            let is_list = priority.first.is_some();
            if closed.idle && !is_list {
                priority.parked.push(slot);
            } else if priority.started && !is_list {
                self.table.queue(slot);
            }
        }
        self.settle(now);
    }

    /// Time has come. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn Rng) {
        // What is due may make something else due at once: a list that is to be shuffled.
        while self.poll_timeout().is_some_and(|due| due <= now) {
            if self.rest_ends().is_some_and(|end| end <= now) {
                self.sleep();
                return;
            }
            if self.aside_until.is_some_and(|end| end <= now) {
                self.aside_until = None;
                self.table.changed = true;
            }
            while let Some(&(_, slot)) = self.table.waits.first().filter(|(at, _)| *at <= now) {
                self.wake(slot);
            }
            for priority in 0..self.table.priorities.len() {
                let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
                let state = &mut self.table.priorities[priority];
                state.failover = state.failover.filter(|at| *at > now);
                if due(state.keep_until) {
                    self.stop(priority);
                } else if due(state.first.as_ref().and_then(|first| first.due)) {
                    self.table.continue_pass(priority, now, rng);
                }
            }
            self.settle(now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = self.table.waits.first().map(|(until, _)| *until);
        let priorities = self.table.priorities.iter().filter_map(|priority| priority.timeout());
        priorities.chain(wait).chain(self.aside_until).chain(self.rest_ends()).min()
    }

    /// The next thing to do; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.table.actions.pop_front()
    }

    /// Whether [`view`](Self::view) and [`condition`](Self::condition) may differ from what they
    /// were at the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.table.changed)
    }

    /// What a call can expect.
    #[must_use]
    pub fn condition(&self) -> Condition {
        if self.usable == 0 {
            return Condition::Empty;
        }
        self.current.map_or(Condition::Idle, |current| self.table.priorities[current].condition())
    }

    /// What can take calls. Takes time in proportion to the active priority's endpoints.
    #[must_use]
    pub fn view(&self) -> View {
        self.current.map_or_else(View::default, |current| self.table.view(current))
    }

    /// Whether lists of `pick_first` are shuffled.
    pub(super) fn shuffles(&self) -> bool {
        matches!(self.version.config.lb.policy, Policy::PickFirst { shuffle: true })
    }

    /// Notes since when nobody has used the cluster.
    pub(super) fn note_rest(&mut self, now: Instant) {
        let is_idle = self.condition() == Condition::Idle;
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
        let is_unused = self.table.open == 0;
        self.unused_since = is_unused.then(|| self.unused_since.unwrap_or(now));
    }

    fn rest_ends(&self) -> Option<Instant> {
        let forgets = self.idle_since.map(|since| since + REMEMBER);
        let gives_up = self.unused_since.map(|since| since + TRY);
        forgets.into_iter().chain(gives_up).min()
    }

    fn sleep(&mut self) {
        self.table.clear();
        self.awake = false;
        self.current = None;
        self.idle_since = None;
        self.unused_since = None;
        self.aside_until = None;
    }

    /// An endpoint failed: the next attempt comes after a while.
    fn fail(&mut self, slot: usize, why: Arc<str>, now: Instant, rng: &mut dyn Rng) {
        self.table.edit(slot, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.failed = entry.open.is_empty();
        });
        if !self.table.entries[slot].is_trying() {
            let delay = Backoff::CONNECTION.delay(self.table.entries[slot].failures, rng);
            self.table.set_phase(slot, Phase::Waiting(now + delay));
        }
        let priority = self.table.priority_of(slot);
        if priority.error.as_ref() != Some(&why) {
            let is_told = priority.status == Some(Status::Failed);
            priority.error = Some(why);
            self.table.changed |= is_told;
        }
    }

    /// An endpoint has waited long enough after a failure.
    fn wake(&mut self, slot: usize) {
        self.table.set_phase(slot, Phase::Rest);
        let priority = self.table.priority_of(slot);
        if !priority.started {
            return;
        }
        if priority.first.is_some() {
            self.table.retry_first(slot);
        } else if self.table.is_lacking(slot) {
            self.table.queue(slot);
        }
    }
}

fn usable(version: &Version) -> usize {
    let localities = version.assignment.localities.iter();
    localities.flat_map(|l| l.endpoints.iter()).filter(|e| e.health.is_usable()).count()
}
