//! The endpoints of an awake balance and the bookkeeping that keeps their sums right.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::entry::{Entry, Phase};
use super::priority::Priority;
use super::{Action, ConnectionId, Ejection};
use crate::cluster::Identity;

/// Attempts under way at once.
const ATTEMPTS: usize = 64;

/// Empty while nobody wants the cluster, but for what must not be forgotten: the ids given out, and
/// who is ejected.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// In the assignment's order: a priority, and a locality in it, is a range of slots.
    pub(super) entries: Vec<Entry>,
    pub(super) index: FxHashMap<Identity, usize>,
    pub(super) priorities: Vec<Priority>,
    /// The endpoint of each connection that is open or being opened.
    pub(super) live: FxHashMap<ConnectionId, usize>,
    /// When each waiting endpoint tries again.
    pub(super) waits: BTreeSet<(Instant, usize)>,
    pub(super) actions: VecDeque<Action>,
    pub(super) changed: bool,
    pub(super) next: u64,
    /// Connections with smaller ids were opened with settings that do not hold any more.
    pub(super) fresh: u64,
    pub(super) attempts: usize,
    pub(super) open: usize,
    pub(super) ejected: FxHashMap<Identity, Ejection>,
}

impl Table {
    /// Changes an entry and keeps its priority's counts right.
    pub(super) fn edit(&mut self, slot: usize, change: impl FnOnce(&mut Entry)) {
        let entry = &mut self.entries[slot];
        let before = entry.status();
        change(entry);
        let after = entry.status();
        if before != after {
            let counts = &mut self.priorities[entry.priority].counts;
            counts.remove(before);
            counts.add(after);
        }
    }

    /// The only way from one phase to another.
    pub(super) fn set_phase(&mut self, slot: usize, phase: Phase) {
        match self.entries[slot].phase {
            Phase::Rest | Phase::Queued => {}
            Phase::Waiting(until) => {
                self.waits.remove(&(until, slot));
            }
            Phase::Trying(id) => {
                self.attempts -= 1;
                self.live.remove(&id);
            }
        }
        match phase {
            Phase::Rest | Phase::Queued => {}
            Phase::Waiting(until) => {
                self.waits.insert((until, slot));
            }
            Phase::Trying(id) => {
                self.attempts += 1;
                self.live.insert(id, slot);
            }
        }
        self.edit(slot, |entry| entry.phase = phase);
    }

    /// Wants an attempt as soon as fewer are under way.
    pub(super) fn queue(&mut self, slot: usize) {
        self.set_phase(slot, Phase::Queued);
        self.priority_of(slot).queue.push_back(slot);
    }

    /// As [`queue`](Self::queue), before all others of its priority.
    pub(super) fn queue_first(&mut self, slot: usize) {
        self.set_phase(slot, Phase::Queued);
        self.priority_of(slot).queue.push_front(slot);
    }

    /// Ends an attempt that is queued or under way.
    pub(super) fn give_up(&mut self, slot: usize) {
        match self.entries[slot].phase {
            Phase::Rest | Phase::Waiting(_) => return,
            // Whoever gives up many clears the queue first.
            Phase::Queued => self.priority_of(slot).queue.retain(|queued| *queued != slot),
            Phase::Trying(id) => self.actions.push_back(Action::Abandon { id }),
        }
        self.set_phase(slot, Phase::Rest);
    }

    pub(super) fn add_open(&mut self, slot: usize, id: ConnectionId) {
        self.open += 1;
        self.live.insert(id, slot);
        self.changed = true;
        self.edit(slot, |entry| entry.open.push(id));
    }

    pub(super) fn remove_open(&mut self, slot: usize, id: ConnectionId) {
        self.open -= 1;
        self.live.remove(&id);
        self.changed = true;
        self.edit(slot, |entry| entry.open.retain(|open| *open != id));
    }

    /// Retires the connections that are `unwanted`.
    pub(super) fn retire(&mut self, slot: usize, unwanted: impl Fn(ConnectionId) -> bool) {
        let ids: Vec<_> =
            self.entries[slot].open.iter().copied().filter(|id| unwanted(*id)).collect();
        for id in ids {
            self.remove_open(slot, id);
            self.actions.push_back(Action::Retire { id });
        }
    }

    /// Whether a connection was opened with the settings that hold now.
    pub(super) fn is_fresh(&self, id: ConnectionId) -> bool {
        id.0 >= self.fresh
    }

    /// Whether the endpoint lacks a connection, or has one that is to be replaced.
    pub(super) fn is_lacking(&self, slot: usize) -> bool {
        let open = &self.entries[slot].open;
        open.is_empty() || open.iter().any(|id| !self.is_fresh(*id))
    }

    /// Starts queued attempts. Every other one is of the `preferred` priority if it has any: calls
    /// wait for it, but one with thousands of dead endpoints must not keep another from recovering.
    pub(super) fn start_attempts(&mut self, preferred: Option<usize>) {
        while self.attempts < ATTEMPTS {
            let preferred = preferred.filter(|_| self.next.is_multiple_of(2));
            let mut order = preferred.into_iter().chain(0..self.priorities.len());
            let Some(slot) = order.find_map(|p| self.priorities.get_mut(p)?.queue.pop_front())
            else {
                return;
            };
            let id = ConnectionId(self.next);
            self.next += 1;
            self.set_phase(slot, Phase::Trying(id));
            let endpoint = self.entries[slot].endpoint.clone();
            self.actions.push_back(Action::Connect { id, endpoint });
        }
    }

    /// Ends all connections and forgets all endpoints.
    pub(super) fn clear(&mut self) {
        for entry in &mut self.entries {
            end(entry, &mut self.actions);
        }
        *self = Self {
            actions: std::mem::take(&mut self.actions),
            changed: true,
            next: self.next,
            fresh: self.fresh,
            ejected: std::mem::take(&mut self.ejected),
            ..Self::default()
        };
    }

    pub(super) fn priority_of(&mut self, slot: usize) -> &mut Priority {
        &mut self.priorities[self.entries[slot].priority]
    }
}

/// Ends all connections of an endpoint that leaves the table.
pub(super) fn end(entry: &mut Entry, actions: &mut VecDeque<Action>) {
    if let Phase::Trying(id) = entry.phase {
        actions.push_back(Action::Abandon { id });
    }
    actions.extend(entry.open.drain(..).map(|id| Action::Retire { id }));
}
