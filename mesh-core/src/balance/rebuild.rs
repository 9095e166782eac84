//! From one version of a cluster to the next.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::Action;
use super::entry::{Entry, Phase, Status};
use super::failover::KEEP;
use super::first::First;
use super::priority::{Place, Priority};
use super::table::{self, Table};
use crate::cluster::Policy;
use crate::cluster::{
    Assignment, Config, Connections, Endpoint, Identity, Leaf, Locality, LocalityName, Transport,
    Version,
};

impl Table {
    /// Replaces the endpoints by those of `version`; `before` is the version until now.
    ///
    /// Starts nothing that was not started: which priority is active is decided afterwards.
    pub(super) fn rebuild(&mut self, version: &Version, before: &Version, now: Instant) {
        if !are_same_transports(before, version) {
            self.fresh = self.next;
        }
        let policy = version.config.lb.policy;
        let mut old = Old::take(self);
        let mut origins = Vec::new();
        let mut ancestors = Vec::new();
        for localities in by_priority(&version.assignment) {
            let at = self.priorities.len();
            let start = self.entries.len();
            let mut priority = Priority::default();
            for locality in localities {
                priority.number = locality.priority;
                let leaf = version.assignment.leaf(locality.priority);
                let config = leaf.map_or(&version.config, |leaf| &leaf.version.config);
                priority.panics_below =
                    usize::try_from(config.panic_threshold.value()).unwrap_or(usize::MAX);
                let first = self.entries.len();
                for endpoint in locality.endpoints.iter().filter(|e| e.health.is_usable()) {
                    let transport = config.security.transport(endpoint);
                    self.place(endpoint, transport, at, &mut old, &mut origins);
                }
                let (name, slots) = (locality.name.clone(), first..self.entries.len());
                priority.places.push(Place { name, weight: locality.weight, slots });
            }
            priority.slots = start..self.entries.len();
            let ancestor = old.ancestor(at, localities);
            if let Some(ancestor) = &ancestor {
                priority.inherit(ancestor);
            }
            priority.first = matches!(policy, Policy::PickFirst { .. }).then(First::default);
            self.priorities.push(priority);
            ancestors.push(ancestor);
        }
        old.end(&mut self.actions);
        self.mark_ejected();
        self.recount();
        for (at, ancestor) in ancestors.into_iter().enumerate() {
            let origins = &origins[self.priorities[at].slots.clone()];
            match policy {
                Policy::PickFirst { shuffle } => {
                    self.resume_list(at, ancestor, origins, shuffle, now);
                }
                Policy::RoundRobin | Policy::LeastRequest { .. } | Policy::Random => {
                    self.resume_each(at, ancestor.as_ref(), origins);
                }
            }
            self.replace_stale(at);
            self.hold(at, now);
        }
    }

    /// Gives an endpoint its slot. One that is listed twice counts where it is tried first.
    fn place(
        &mut self,
        endpoint: &Arc<Endpoint>,
        transport: &Transport,
        priority: usize,
        old: &mut Old,
        origins: &mut Vec<Option<usize>>,
    ) {
        let identity = Identity::from(endpoint.clone());
        if self.index.contains_key(&identity) {
            return;
        }
        let origin = old.index.remove(&identity);
        let entry = origin.and_then(|slot| old.entries.get_mut(slot)?.take());
        self.index.insert(identity, self.entries.len());
        self.entries.push(match entry {
            Some(mut entry) => {
                entry.secure(transport, &mut self.actions);
                Entry { endpoint: endpoint.clone(), priority, ..entry }
            }
            None => Entry::new(endpoint.clone(), transport.clone(), priority),
        });
        origins.push(origin);
    }

    /// Connections to these priorities, those that are being opened included.
    pub(super) fn connections(&self, priorities: &Range<u32>) -> usize {
        let is_of = |entry: &&Entry| priorities.contains(&self.priorities[entry.priority].number);
        let count =
            |entry: &Entry| entry.open.len() + usize::from(matches!(entry.phase, Phase::Trying(_)));
        self.entries.iter().filter(is_of).map(count).sum()
    }

    /// Sums up what the entries brought along.
    fn recount(&mut self) {
        (self.attempts, self.open) = (0, 0);
        for (slot, entry) in self.entries.iter().enumerate() {
            self.open += entry.open.len();
            self.live.extend(entry.open.iter().map(|id| (*id, slot)));
            let priority = &mut self.priorities[entry.priority];
            priority.counts.add(entry.status());
            match entry.phase {
                Phase::Rest => {}
                Phase::Queued => priority.queue.push_back(slot),
                Phase::Trying(id) => {
                    self.attempts += 1;
                    self.live.insert(id, slot);
                }
                Phase::Waiting(until) => {
                    self.waits.insert((until, slot));
                }
            }
        }
    }

    /// Goes on with a priority whose endpoints stand for themselves.
    fn resume_each(&mut self, at: usize, old: Option<&Priority>, origins: &[Option<usize>]) {
        let started = self.priorities[at].started;
        let was_each = old.is_some_and(|old| old.first.is_none());
        // What is idle as a whole waits for a demand, new endpoints included.
        let is_idle = old.is_some_and(|old| old.started && old.status == Some(Status::Idle));
        let was_here = |origin: Option<usize>| {
            origin.zip(old).is_some_and(|(slot, old)| old.slots.contains(&slot))
        };
        for (slot, origin) in self.priorities[at].slots.clone().zip(origins) {
            if !started && self.entries[slot].phase == Phase::Queued {
                self.set_phase(slot, Phase::Rest);
            } else if started && self.entries[slot].is_idle() {
                if is_idle || (was_each && was_here(*origin)) {
                    self.priorities[at].parked.push(slot);
                } else {
                    self.queue(slot);
                }
            }
        }
        if !started {
            self.priorities[at].queue.clear();
        }
    }

    /// Goes on with a priority that is one list (gRFC A62).
    fn resume_list(
        &mut self,
        at: usize,
        old: Option<Priority>,
        origins: &[Option<usize>],
        shuffle: bool,
        now: Instant,
    ) {
        let slots = self.priorities[at].slots.clone();
        let was_list = old.as_ref().is_some_and(|old| old.first.is_some());
        let is_same = old.as_ref().is_some_and(|old| {
            old.slots.len() == slots.len()
                && origins.iter().zip(old.slots.clone()).all(|(o, slot)| *o == Some(slot))
        });
        let origin_of_selected = old.as_ref().and_then(|old| {
            let offset = old.first.as_ref()?.selected?;
            Some(old.slots.start + offset)
        });
        let (status, started) = old.as_ref().map_or((None, false), |old| (old.status, old.started));
        // A list that failed for being empty has had no attempt: calls wait for the first ones.
        let has_failed =
            status == Some(Status::Failed) && old.as_ref().is_some_and(|old| !old.slots.is_empty());
        if let Some(first) = old.and_then(|old| old.first).filter(|_| is_same) {
            self.priorities[at].first = Some(first);
        }
        let is_open = |slot: &usize| !self.entries[*slot].open.is_empty();
        let stays = origin_of_selected.and_then(|from| {
            let offset = origins.iter().position(|origin| *origin == Some(from))?;
            Some(slots.start + offset)
        });
        let selected = stays.filter(is_open).or_else(|| slots.clone().find(is_open));
        if let Some(selected) = selected {
            self.priorities[at].queue.clear();
            for other in slots.filter(|slot| *slot != selected) {
                self.give_up(other);
                self.retire(other, |_| true);
            }
            self.select_first(selected);
            if self.entries[selected].phase == Phase::Queued {
                self.queue(selected);
            }
        } else if !(is_same && was_list) || origin_of_selected.is_some() {
            let goes_on = started && status != Some(Status::Idle);
            if !was_list || !goes_on {
                self.priorities[at].queue.clear();
                slots.for_each(|slot| self.give_up(slot));
            }
            if let Some(first) = &mut self.priorities[at].first {
                first.resume(has_failed);
                // If there was one, it has lost its connections: they were secured otherwise.
                first.selected = None;
            }
            if goes_on {
                self.begin_pass(at, shuffle, now);
            }
        }
    }

    /// Opens anew what was opened with other settings.
    fn replace_stale(&mut self, at: usize) {
        for slot in self.priorities[at].slots.clone() {
            match self.entries[slot].phase {
                Phase::Trying(id) if !self.is_fresh(id) => {
                    self.actions.push_back(Action::Abandon { id });
                    self.queue(slot);
                }
                Phase::Rest if self.priorities[at].started => {
                    if !self.entries[slot].open.is_empty() && self.is_lacking(slot) {
                        self.queue(slot);
                    }
                }
                Phase::Rest | Phase::Queued | Phase::Trying(_) | Phase::Waiting(_) => {}
            }
        }
    }

    /// Keeps for a while what has come to a priority that nobody needs yet.
    fn hold(&mut self, at: usize, now: Instant) {
        let held = |slot: usize| {
            let entry = &self.entries[slot];
            !entry.open.is_empty() || entry.is_trying()
        };
        let holds = self.priorities[at].slots.clone().any(held);
        let priority = &mut self.priorities[at];
        if holds && !priority.started {
            priority.keep_until.get_or_insert(now + KEEP);
        }
    }
}

/// What the table held before.
struct Old {
    entries: Vec<Option<Entry>>,
    index: FxHashMap<Identity, usize>,
    priorities: Vec<Option<Priority>>,
    /// Which priorities had a locality.
    by_name: FxHashMap<Arc<LocalityName>, Vec<usize>>,
}

impl Old {
    fn take(table: &mut Table) -> Self {
        let priorities = std::mem::take(&mut table.priorities);
        let mut by_name = FxHashMap::<_, Vec<usize>>::default();
        for (at, priority) in priorities.iter().enumerate() {
            for place in &priority.places {
                by_name.entry(place.name.clone()).or_default().push(at);
            }
        }
        table.live.clear();
        table.waits.clear();
        Self {
            entries: std::mem::take(&mut table.entries).into_iter().map(Some).collect(),
            index: std::mem::take(&mut table.index),
            priorities: priorities.into_iter().map(Some).collect(),
            by_name,
        }
    }

    /// The priority that goes on as number `at`: the one that had one of its localities (as gRPC
    /// names the children of its priority policy), preferably under the same number.
    fn ancestor(&mut self, at: usize, localities: &[Locality]) -> Option<Priority> {
        let is_free = |p: &usize| self.priorities.get(*p).is_some_and(Option::is_some);
        let found = localities.iter().find_map(|locality| {
            let had = self.by_name.get(&locality.name)?;
            had.iter().find(|p| **p == at && is_free(p)).or_else(|| had.iter().find(|p| is_free(p)))
        });
        self.priorities.get_mut(*found?)?.take()
    }

    /// Ends the connections of endpoints that are gone.
    fn end(self, actions: &mut VecDeque<Action>) {
        for mut entry in self.entries.into_iter().flatten() {
            table::end(&mut entry, actions);
        }
    }
}

/// The localities of each priority.
fn by_priority(assignment: &Assignment) -> impl Iterator<Item = &[Locality]> {
    assignment.localities.chunk_by(|a, b| a.priority == b.priority)
}

/// Whether connections opened under one of both can serve under the other; those to the leaves of an
/// aggregate, too, as far as they were there before.
fn are_same_transports(before: &Version, version: &Version) -> bool {
    let is_same = |leaf: &Leaf| {
        let is_it = |one: &&Leaf| one.version.config.name == leaf.version.config.name;
        let old = before.assignment.leaves.iter().find(is_it);
        old.is_none_or(|old| is_same_transport(&old.version.config, &leaf.version.config))
    };
    is_same_transport(&before.config, &version.config)
        && version.assignment.leaves.iter().all(is_same)
}

/// Whether connections by one of both can serve by the other.
fn is_same_transport(a: &Config, b: &Config) -> bool {
    // These two matter before and beside a connection, not to it.
    let of = |connections: &Connections| Connections {
        connect_timeout: Duration::ZERO,
        per_endpoint: 0,
        ..connections.clone()
    };
    a.upstream == b.upstream && of(&a.connections) == of(&b.connections)
}
