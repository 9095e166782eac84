//! When something is to be heard of a resource at the latest.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::name::{ResourceName, ResourceType};

/// The deadlines of all resources of a session; a resource has one at most.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, ResourceType, ResourceName)>);

impl Timers {
    /// Replaces the deadline in `slot`, which belongs to the resource, by `deadline`.
    pub(super) fn set(
        &mut self,
        (kind, name): (ResourceType, &ResourceName),
        slot: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        if let Some(old) = std::mem::replace(slot, deadline) {
            self.0.remove(&(old, kind, name.clone()));
        }
        if let Some(deadline) = deadline {
            self.0.insert((deadline, kind, name.clone()));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(deadline, ..)| *deadline)
    }

    /// Takes out the first deadline that is not after `now`. The slot of the resource is stale then.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(ResourceType, ResourceName)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, kind, name)| (kind, name))
    }
}
