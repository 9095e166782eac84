//! What others see of a balance.

use std::sync::Arc;
use std::time::Instant;

use super::ConnectionId;
use super::entry::Status;
use super::priority::Priority;
use super::table::Table;
use crate::cluster::{Endpoint, LocalityName};

/// What a call that wants the cluster can expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is connected because nobody wants it. A demand changes that; a shell with calls
    /// waiting demands again.
    Idle,
    /// Attempts are under way; calls wait.
    Connecting,
    /// The view has at least one connection.
    Ready,
    /// Every endpoint failed; retries go on.
    Failed {
        /// The last error, for people.
        why: Arc<str>,
        /// When the last of them failed.
        since: Instant,
    },
    /// There is no usable endpoint at all (gRFC A27: calls fail).
    Empty,
}

/// The connections of one priority that take calls.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The priority's number in the assignment. Of the active one `None` before the first demand
    /// and without endpoints.
    pub priority: Option<u32>,
    /// Its localities that have a reachable endpoint, in the assignment's order.
    pub groups: Vec<Group>,
}

/// The reachable endpoints of one locality.
#[derive(Clone, Debug)]
pub struct Group {
    /// The place.
    pub name: Arc<LocalityName>,
    /// The locality's weight; at least 1.
    pub weight: u32,
    /// Its endpoints with an open connection, in the assignment's order; never empty.
    pub endpoints: Vec<Reachable>,
}

/// An endpoint with an open connection.
#[derive(Clone, Debug)]
pub struct Reachable {
    /// The newest description of it.
    pub endpoint: Arc<Endpoint>,
    /// Its open connections, the oldest first (gRFC A105 fills them in this order); never empty.
    pub connections: Vec<ConnectionId>,
}

/// The error of endpoints that failed elsewhere, before they came to their priority.
const UNTOLD: &str = "no endpoint could be connected to";

impl Priority {
    pub(super) fn condition(&self) -> Condition {
        match (self.status, self.since) {
            (Some(Status::Ready), _) => Condition::Ready,
            (Some(Status::Connecting), _) => Condition::Connecting,
            (Some(Status::Failed), Some(since)) => {
                let why = self.error.clone().unwrap_or_else(|| UNTOLD.into());
                Condition::Failed { why, since }
            }
            (Some(Status::Idle | Status::Failed) | None, _) => Condition::Idle,
        }
    }
}

impl Table {
    pub(super) fn view(&self, priority: usize) -> View {
        let priority = &self.priorities[priority];
        let mut view = View { priority: Some(priority.number), groups: Vec::new() };
        if priority.counts.ready() == 0 {
            return view;
        }
        for place in &priority.places {
            let entries = self.entries[place.slots.clone()].iter();
            let endpoints: Vec<_> = entries
                .filter(|entry| !entry.open.is_empty() && !entry.out)
                .map(|entry| Reachable {
                    endpoint: entry.endpoint.clone(),
                    connections: entry.open.clone(),
                })
                .collect();
            if !endpoints.is_empty() {
                view.groups.push(Group {
                    name: place.name.clone(),
                    weight: place.weight,
                    endpoints,
                });
            }
        }
        view
    }
}
