//! Endpoints that get no calls for a while because they do worse than others.

use std::time::Instant;

use super::machine::Balance;
use super::table::Table;
use crate::cluster::Identity;

/// How an endpoint is kept from calls. Its connections stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ejection {
    /// Whoever is left: it counts as failed, and so does a priority without others (gRFC A50).
    Always,
    /// Unless too few are left (Envoy's panic): where less than `panic_threshold` of the endpoints of
    /// a priority are, and all priorities together cannot take the load, it is as if it were not
    /// ejected.
    UnlessPanic,
}

impl Balance {
    /// Ejects an endpoint, or returns it with `None`. Remembered while nobody wants the cluster,
    /// and without effect on `pick_first`.
    pub fn set_ejected(&mut self, endpoint: &Identity, how: Option<Ejection>, now: Instant) {
        match how {
            Some(how) => drop(self.table.ejected.insert(endpoint.clone(), how)),
            None => drop(self.table.ejected.remove(endpoint)),
        }
        let Some(&slot) = self.table.index.get(endpoint) else { return };
        self.table.entries[slot].ejected = how;
        if how.is_some() {
            let address = &endpoint.endpoint().address;
            let why = format!("{address} is ejected as an outlier");
            self.table.priority_of(slot).error = Some(why.into());
        }
        for (slot, out) in self.table.outs() {
            self.table.edit(slot, |entry| entry.out = out);
            self.table.changed = true;
        }
        self.settle(now);
    }
}

impl Table {
    /// Brings the ejections into entries that are not counted yet.
    pub(super) fn mark_ejected(&mut self) {
        if self.ejected.is_empty() && self.entries.iter().all(|entry| entry.ejected.is_none()) {
            return;
        }
        for (endpoint, &slot) in &self.index {
            self.entries[slot].ejected = self.ejected.get(endpoint).copied();
        }
        for (slot, out) in self.outs() {
            self.entries[slot].out = out;
        }
    }

    /// The endpoints whose ejection has a new effect, or none any more.
    fn outs(&self) -> Vec<(usize, bool)> {
        let left: Vec<usize> = self
            .priorities
            .iter()
            .map(|priority| {
                let entries = self.entries[priority.slots.clone()].iter();
                entries.filter(|entry| entry.ejected.is_none()).count()
            })
            .collect();
        let priorities = || self.priorities.iter().zip(&left);
        let can_take = |all: usize, left: usize| (left * OVERPROVISIONING / all.max(1)).min(100);
        let load: usize = priorities().map(|(p, left)| can_take(p.slots.len(), *left)).sum();
        let mut outs = Vec::new();
        for (priority, left) in priorities() {
            let panics = load < 100 && left * 100 < priority.slots.len() * priority.panics_below;
            for slot in priority.slots.clone() {
                let entry = &self.entries[slot];
                let out = priority.first.is_none()
                    && match entry.ejected {
                        None => false,
                        Some(Ejection::Always) => true,
                        Some(Ejection::UnlessPanic) => !panics,
                    };
                if out != entry.out {
                    outs.push((slot, out));
                }
            }
        }
        outs
    }
}

/// What a priority can take of its load in percent, if all of its endpoints are left (Envoy's
/// default for `overprovisioning_factor`).
const OVERPROVISIONING: usize = 140;
