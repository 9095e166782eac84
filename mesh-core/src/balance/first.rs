//! `pick_first`: one list of endpoints, one connection (gRFC A62, with A61's happy eyeballs).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::entry::{Phase, Status};
use super::table::Table;
use crate::cluster::{Address, Endpoint};
use crate::rng::Rng;

/// Time between the starts of two attempts (gRFC A61).
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);

/// The state of one list. Endpoints are offsets into the priority's slots.
#[derive(Debug, Default)]
pub(super) struct First {
    /// In which order to try them; empty until the first pass.
    order: Vec<usize>,
    /// How many of `order` this pass has come to.
    next: usize,
    /// Those with an attempt queued or under way.
    trying: BTreeSet<usize>,
    /// When the pass goes on by itself.
    pub(super) due: Option<Instant>,
    stage: Stage,
    /// A pass ended without success, and there was none since.
    failed: bool,
    pub(super) selected: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Waits for a demand, or has a selected endpoint.
    #[default]
    Rest,
    /// Tries each endpoint in turn.
    Pass,
    /// Each endpoint retries for itself.
    Retry,
}

impl First {
    pub(super) fn status(&self) -> Status {
        match self.stage {
            _ if self.selected.is_some() => Status::Ready,
            _ if self.failed => Status::Failed,
            Stage::Rest => Status::Idle,
            Stage::Pass | Stage::Retry => Status::Connecting,
        }
    }

    /// Takes over that the list failed before its endpoints changed: it stays so until READY.
    pub(super) fn resume(&mut self, has_failed: bool) {
        self.failed = has_failed;
    }
}

impl Table {
    /// Starts a pass over the list from its beginning. Attempts under way go on.
    pub(super) fn begin_pass(&mut self, priority: usize, shuffle: bool, now: Instant) {
        let slots = self.priorities[priority].slots.clone();
        let trying = slots.clone().filter(|slot| self.entries[*slot].is_trying());
        let trying = trying.map(|slot| slot - slots.start).collect();
        let Some(first) = &mut self.priorities[priority].first else { return };
        if slots.is_empty() {
            return;
        }
        *first = First {
            order: std::mem::take(&mut first.order),
            trying,
            stage: Stage::Pass,
            failed: first.failed,
            ..First::default()
        };
        if !first.order.is_empty() {
            self.advance_pass(priority, now);
        } else if shuffle {
            // Chance comes with the next timeout, which is due at once.
            first.due = Some(now);
        } else {
            self.order_pass(priority, None);
            self.advance_pass(priority, now);
        }
    }

    /// The pass is due: goes on to the next endpoint.
    pub(super) fn continue_pass(&mut self, priority: usize, now: Instant, rng: &mut dyn Rng) {
        if self.priorities[priority].first.as_ref().is_some_and(|first| first.order.is_empty()) {
            self.order_pass(priority, Some(rng));
        }
        self.advance_pass(priority, now);
    }

    /// An attempt succeeded: it is the one, and the others end.
    pub(super) fn select_first(&mut self, slot: usize) {
        let priority = self.entries[slot].priority;
        let start = self.priorities[priority].slots.start;
        let Some(first) = &mut self.priorities[priority].first else { return };
        let others = std::mem::take(&mut first.trying);
        first.selected = Some(slot - start);
        (first.stage, first.failed, first.due) = (Stage::Rest, false, None);
        self.priorities[priority].queue.clear();
        for other in others.into_iter().map(|offset| start + offset).filter(|o| *o != slot) {
            self.give_up(other);
        }
    }

    /// An attempt failed; the endpoint waits already.
    pub(super) fn fail_first(&mut self, slot: usize, now: Instant) {
        let priority = self.entries[slot].priority;
        let start = self.priorities[priority].slots.start;
        let Some(first) = &mut self.priorities[priority].first else { return };
        first.trying.remove(&(slot - start));
        let newest = first.next.checked_sub(1).and_then(|at| first.order.get(at));
        // An older attempt may fail while a newer one still has its time.
        let goes_on = newest == Some(&(slot - start)) || first.trying.is_empty();
        if first.stage == Stage::Pass && first.selected.is_none() && goes_on {
            self.advance_pass(priority, now);
        }
    }

    /// The last connection of an endpoint is gone.
    pub(super) fn lose_first(&mut self, slot: usize) {
        let priority = self.entries[slot].priority;
        let start = self.priorities[priority].slots.start;
        let Some(first) = &mut self.priorities[priority].first else { return };
        if first.selected == Some(slot - start) {
            first.selected = None;
            self.give_up(slot);
        }
    }

    /// An endpoint has waited long enough.
    pub(super) fn retry_first(&mut self, slot: usize) {
        let priority = self.entries[slot].priority;
        let start = self.priorities[priority].slots.start;
        let Some(first) = &mut self.priorities[priority].first else { return };
        // During a pass it waits for its turn, or for the end of the pass if that is over.
        let retries = first.selected.is_none() && first.stage == Stage::Retry;
        if retries {
            first.trying.insert(slot - start);
        }
        if retries || (first.selected == Some(slot - start) && self.is_lacking(slot)) {
            self.queue(slot);
        }
    }

    /// Starts the next attempt, or ends the pass.
    fn advance_pass(&mut self, priority: usize, now: Instant) {
        let slots = self.priorities[priority].slots.clone();
        let Some(first) = &mut self.priorities[priority].first else { return };
        first.due = None;
        while let Some(&offset) = first.order.get(first.next) {
            first.next += 1;
            let slot = slots.start + offset;
            match self.entries[slot].phase {
                // It has failed too recently to be asked again.
                Phase::Waiting(_) => continue,
                // Under way since before the list changed.
                Phase::Queued | Phase::Trying(_) => {}
                Phase::Rest => {
                    first.trying.insert(offset);
                }
            }
            if first.next < first.order.len() {
                first.due = Some(now + BETWEEN_ATTEMPTS);
            }
            if self.entries[slot].phase == Phase::Rest {
                self.queue(slot);
            }
            return;
        }
        if first.trying.is_empty() {
            (first.stage, first.failed) = (Stage::Retry, true);
            // Those that have waited long enough during the pass; the others follow by themselves.
            for slot in slots {
                if self.entries[slot].phase == Phase::Rest {
                    self.retry_first(slot);
                }
            }
        }
    }

    /// Decides in which order to try the endpoints.
    fn order_pass(&mut self, priority: usize, shuffle: Option<&mut dyn Rng>) {
        let slots = self.priorities[priority].slots.clone();
        let mut order: Vec<usize> = (0..slots.len()).collect();
        if let Some(rng) = shuffle {
            for at in (1..order.len()).rev() {
                let bound = u32::try_from(at + 1).unwrap_or(u32::MAX);
                order.swap(at, usize::try_from(rng.below(bound)).unwrap_or(at));
            }
        }
        let order =
            interleave(&order, |offset| family(&self.entries[slots.start + offset].endpoint));
        if let Some(first) = &mut self.priorities[priority].first {
            first.order = order;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Other,
}

fn family(endpoint: &Endpoint) -> Family {
    match &endpoint.address {
        Address::Socket(SocketAddr::V4(_)) => Family::V4,
        Address::Socket(SocketAddr::V6(_)) => Family::V6,
        Address::Unix(_) => Family::Other,
    }
}

/// Alternates between address families, beginning with the family of the first (gRFC A61).
fn interleave(order: &[usize], family: impl Fn(usize) -> Family) -> Vec<usize> {
    let mut families = Vec::with_capacity(3);
    for offset in order {
        let family = family(*offset);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let of = |wanted: Family| {
        order.iter().copied().filter({
            let family = &family;
            move |offset| family(*offset) == wanted
        })
    };
    let mut turns: Vec<_> = families.into_iter().map(of).collect();
    let mut result = Vec::with_capacity(order.len());
    while result.len() < order.len() {
        result.extend(turns.iter_mut().filter_map(Iterator::next));
    }
    result
}
