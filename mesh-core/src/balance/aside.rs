//! Priorities that calls want besides the active one.

use std::time::Instant;

use super::entry::Status;
use super::failover::KEEP;
use super::machine::Balance;
use super::{Condition, View};

impl Balance {
    /// A call wants `priority`, as the assignment numbers it, whichever is active.
    ///
    /// It is connected to beside the active one, which stays what it is. For 15 minutes after the
    /// last such call (as long as gRFC A56 keeps a priority that is not needed any more) it keeps its
    /// connections, and [`asides`](Self::asides) tells of all priorities.
    pub fn handle_wanted(&mut self, priority: u32, now: Instant) {
        if self.current.is_none() {
            self.handle_demand(now);
        }
        let mut priorities = self.table.priorities.iter();
        let Some(at) = priorities.position(|one| one.number == priority) else { return };
        self.table.changed |= self.aside_until.replace(now + KEEP).is_none();
        if self.table.priorities[at].started {
            self.rouse(at, now);
        }
        self.need(at, now);
        self.table.priorities[at].keep_until = Some(now + KEEP);
        self.settle(now);
    }

    /// What can take calls in the priorities that are not active, and what a call that wants one
    /// can expect; nothing if none was wanted lately.
    #[must_use]
    pub fn asides(&self) -> Vec<(View, Condition)> {
        if self.aside_until.is_none() {
            return Vec::new();
        }
        let all = (0..self.table.priorities.len()).filter(|at| Some(*at) != self.current);
        all.map(|at| (self.table.view(at), self.table.priorities[at].condition())).collect()
    }

    /// Connects again to endpoints of `priority` that were left alone because nobody used them.
    pub(super) fn rouse(&mut self, priority: usize, now: Instant) {
        for slot in std::mem::take(&mut self.table.priorities[priority].parked) {
            if self.table.entries[slot].is_idle() {
                self.table.queue(slot);
            }
        }
        let first = self.table.priorities[priority].first.as_ref();
        if first.is_some_and(|first| first.status() == Status::Idle) {
            self.table.begin_pass(priority, self.shuffles(), now);
        }
    }
}
