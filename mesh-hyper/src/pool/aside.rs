//! Retries that go to another priority than the active one, because that was asked before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::balance::Condition;
use mesh_core::cluster::{Assignment, Endpoint, Locality};
use mesh_core::retry::Hosts;
use mesh_core::rng::Rng;

use super::{Draw, Miss, Picks, Place, Pool};
use crate::error::{Error, Kind};
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::signals::LAST;

/// Endpoints and priorities that a retry had better not go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avoid<'a> {
    pub(crate) hosts: &'a Hosts,
    /// The endpoints that were asked before.
    pub(crate) tried: &'a [Arc<Endpoint>],
}

impl Pool {
    /// Has the priority connected to that a retry wants, and waits until it is or cannot be, but not
    /// longer than one attempt to connect may take.
    ///
    /// Calls that wait here are in no queue: the others go on.
    ///
    /// # Errors
    /// When the deadline comes first, or too many calls wait already.
    pub(super) async fn reach(
        &self,
        avoid: Avoid<'_>,
        deadline: Option<Instant>,
        place: &mut Place<'_>,
    ) -> Result<(), Error> {
        let mut patient_until = None;
        loop {
            // Enrolled before the look, so that a change in between is not missed.
            let mut moved = std::pin::pin!(self.signals.moved());
            moved.as_mut().enable();
            let lack = self.picks.load().lacks(avoid);
            let Some((priority, patience)) = lack.filter(|_| !self.signals.is_closed()) else {
                return Ok(());
            };
            place.take()?;
            let patient_until = *patient_until.get_or_insert_with(|| runtime::after(patience));
            let deadline = deadline.filter(|deadline| *deadline <= patient_until);
            self.signals.wanted(priority);
            tokio::select! {
                () = moved => {}
                () = runtime::sleep_until(deadline.unwrap_or(patient_until)) => {
                    return match deadline {
                        Some(_) => Err(self.error(Kind::Deadline, "still connecting")),
                        None => Ok(()),
                    };
                }
            }
        }
    }
}

impl Picks {
    /// A stream for a retry: in the priority that it wants if that has one, or else in the active.
    pub(super) fn pick_apart(
        &self,
        draw: Draw,
        avoid: Avoid<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Stream, Miss> {
        if let Some(other) = self.wanted(avoid).and_then(|priority| self.aside(priority)) {
            match other.pick(draw, Some(avoid), rng) {
                Err(Miss::NotReady | Miss::Refused) => {}
                // Whoever is woken by a stream that is free in the active priority must not leave it.
                Err(full @ Miss::Saturated(_)) => {
                    return self.pick(draw, Some(avoid), rng).map_err(|_| full);
                }
                found => return found,
            }
        }
        self.pick(draw, Some(avoid), rng)
    }

    /// The priority that a retry wants and that is not connected to, and how long an attempt to may
    /// take.
    fn lacks(&self, avoid: Avoid<'_>) -> Option<(u32, Duration)> {
        let priority = self.wanted(avoid)?;
        if self.aside(priority).is_some_and(|other| !other.connections.is_empty()) {
            return None;
        }
        let whole = self.whole.as_ref()?;
        let leaf = whole.assignment.leaf(priority);
        let config = leaf.map_or(&whole.config, |leaf| &leaf.version.config);
        Some((priority, config.connections.connect_timeout))
    }

    /// The priority that a retry goes to, if that is not the active one: the first of those that were
    /// not asked.
    fn wanted(&self, avoid: Avoid<'_>) -> Option<u32> {
        let (priorities, active) = (avoid.hosts.priorities?, self.priority?);
        let assignment = &self.whole.as_ref()?.assignment;
        let asked: Vec<_> = avoid.tried.iter().map(|one| priority_of(assignment, one)).collect();
        let able = self.able(assignment, active);
        let excluded = priorities.excluded(&asked, &able);
        if excluded.is_empty() {
            return None;
        }
        able.into_iter().find(|one| !excluded.contains(one)).filter(|found| *found != active)
    }

    /// The priorities that can take calls as far as is known; those before the `active` cannot.
    fn able(&self, assignment: &Assignment, active: u32) -> Vec<u32> {
        let mut able = Vec::new();
        let is_there = |one: &&Locality| (active..=LAST).contains(&one.priority);
        for locality in assignment.localities.iter().filter(is_there) {
            let priority = locality.priority;
            let picks = if priority == active { Some(self) } else { self.aside(priority) };
            let condition = picks.map(|picks| &picks.condition);
            let is_out = matches!(condition, Some(Condition::Failed { .. } | Condition::Empty));
            let is_usable = || locality.endpoints.iter().any(|one| one.health.is_usable());
            if able.last() != Some(&priority) && !is_out && is_usable() {
                able.push(priority);
            }
        }
        able
    }

    fn aside(&self, priority: u32) -> Option<&Self> {
        self.asides.iter().find(|picks| picks.priority == Some(priority))
    }
}

fn priority_of(assignment: &Assignment, endpoint: &Arc<Endpoint>) -> Option<u32> {
    let is_there = |one: &Arc<Endpoint>| one.is_same(endpoint);
    let mut localities = assignment.localities.iter();
    localities.find(|locality| locality.endpoints.iter().any(is_there)).map(|one| one.priority)
}
