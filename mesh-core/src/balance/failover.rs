//! Which priority is active (gRFC A56).

use std::time::{Duration, Instant};

use super::entry::{Phase, Status};
use super::machine::Balance;

/// How long a priority that is not needed any more keeps its connections (gRFC A56).
pub(super) const KEEP: Duration = Duration::from_secs(15 * 60);

impl Balance {
    /// Draws the conclusions, once an event has been taken in as a whole.
    pub(super) fn settle(&mut self, now: Instant) {
        for priority in 0..self.table.priorities.len() {
            self.observe(priority, now);
        }
        let chosen = self.choose(now);
        if self.current != chosen {
            self.current = chosen;
            self.table.changed = true;
        }
        self.table.start_attempts(chosen);
        self.note_rest(now);
    }

    /// Takes the first priority that may do, starting those before it.
    fn choose(&mut self, now: Instant) -> Option<usize> {
        for priority in 0..self.table.priorities.len() {
            self.need(priority, now);
            let found = &self.table.priorities[priority];
            if matches!(found.status, Some(Status::Ready | Status::Idle)) {
                self.leave_below(priority, now);
                return Some(priority);
            }
            if found.failover.is_some() {
                return Some(priority);
            }
        }
        // None may do. Of those that failed the last one speaks, as in gRPC, but not one without
        // endpoints: its error would hide what is wrong.
        let all = || self.table.priorities.iter();
        all()
            .position(|p| p.status == Some(Status::Connecting))
            .or_else(|| all().rposition(|p| !p.slots.is_empty()))
            .or_else(|| self.table.priorities.len().checked_sub(1))
    }

    /// Makes sure that a priority is started and stays.
    pub(super) fn need(&mut self, priority: usize, now: Instant) {
        self.table.priorities[priority].keep_until = None;
        if self.table.priorities[priority].started {
            return;
        }
        self.table.priorities[priority].start(now);
        self.table.changed = true;
        let slots = self.table.priorities[priority].slots.clone();
        let is_list = self.table.priorities[priority].first.is_some();
        for slot in slots {
            self.table.edit(slot, |entry| entry.failed = false);
            let rests = self.table.entries[slot].phase == Phase::Rest;
            if !is_list && rests && self.table.is_lacking(slot) {
                self.table.queue(slot);
            }
        }
        let selected = |first: &super::first::First| first.selected.is_some();
        if self.table.priorities[priority].first.as_ref().is_some_and(|first| !selected(first)) {
            self.table.begin_pass(priority, self.shuffles(), now);
        }
        self.observe(priority, now);
    }

    /// The priorities after `priority` are not needed. They go on for a while, in case they are
    /// needed again.
    fn leave_below(&mut self, priority: usize, now: Instant) {
        for lower in self.table.priorities.iter_mut().skip(priority + 1) {
            if lower.started {
                lower.keep_until.get_or_insert(now + KEEP);
            }
        }
    }

    /// Ends what a priority has, as if it had never been started.
    pub(super) fn stop(&mut self, priority: usize) {
        for slot in self.table.priorities[priority].slots.clone() {
            // The queue is cleared as a whole below.
            if self.table.entries[slot].phase != Phase::Queued {
                self.table.give_up(slot);
            }
            self.table.retire(slot, |_| true);
            self.table.set_phase(slot, Phase::Rest);
            self.table.edit(slot, |entry| entry.failed = false);
        }
        self.table.priorities[priority].stop();
        self.table.changed = true;
    }

    fn observe(&mut self, priority: usize, now: Instant) {
        let priority = &mut self.table.priorities[priority];
        if priority.started && priority.observe(priority.aggregate(), now) {
            self.table.changed = true;
        }
    }
}
