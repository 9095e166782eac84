//! What others see of a balance.

use std::sync::Arc;
use std::time::Instant;

use super::ConnectionId;
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

/// The connections that take calls: those of the active priority.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The active priority's number in the assignment; `None` before the first demand and without
    /// endpoints.
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
