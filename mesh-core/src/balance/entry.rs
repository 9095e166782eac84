//! One endpoint of an awake balance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::{Action, ConnectionId, Ejection};
use crate::cluster::{Endpoint, Transport};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) endpoint: Arc<Endpoint>,
    /// How its connections are secured.
    pub(super) transport: Transport,
    /// Index into the priorities.
    pub(super) priority: usize,
    /// The oldest first.
    pub(super) open: Vec<ConnectionId>,
    pub(super) phase: Phase,
    /// Failed, and not READY since: the endpoint counts as failed although it retries.
    pub(super) failed: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Connections in a row that ended in good order before there was a call for them.
    pub(super) unused: u32,
    /// As it was ejected, if it is.
    pub(super) ejected: Option<Ejection>,
    /// Ejected in fact: it gets no calls, and counts as failed whatever it is connected to.
    pub(super) out: bool,
}

impl Entry {
    pub(super) fn new(endpoint: Arc<Endpoint>, transport: Transport, priority: usize) -> Self {
        Self {
            endpoint,
            transport,
            priority,
            open: Vec::new(),
            phase: Phase::Rest,
            failed: false,
            failures: 0,
            unused: 0,
            ejected: None,
            out: false,
        }
    }

    /// Secures its connections by `transport` from now on. Those that are secured otherwise end at
    /// once, open or not: calls rather wait than go where they must not any more.
    pub(super) fn secure(&mut self, transport: &Transport, actions: &mut VecDeque<Action>) {
        if self.transport == *transport {
            return;
        }
        self.transport = transport.clone();
        let was_in_use = !self.open.is_empty() || self.phase != Phase::Rest;
        if let Phase::Trying(id) = self.phase {
            actions.push_back(Action::Abandon { id });
        }
        actions.extend(self.open.drain(..).map(|id| Action::Retire { id }));
        if was_in_use {
            self.phase = Phase::Queued;
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.phase {
            _ if self.out => Status::Failed,
            _ if !self.open.is_empty() => Status::Ready,
            Phase::Waiting(_) => Status::Failed,
            _ if self.failed => Status::Failed,
            Phase::Queued | Phase::Trying(_) => Status::Connecting,
            Phase::Rest => Status::Idle,
        }
    }

    /// Whether nothing is open and nothing is being done about it.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.phase == Phase::Rest
    }

    /// Whether an attempt is under way or queued.
    pub(super) fn is_trying(&self) -> bool {
        matches!(self.phase, Phase::Queued | Phase::Trying(_))
    }
}

/// What is being done to open a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Rest,
    /// An attempt starts as soon as fewer are under way.
    Queued,
    /// An attempt is under way.
    Trying(ConnectionId),
    /// The last attempt failed; the next one comes then at the earliest.
    Waiting(Instant),
}

/// What an endpoint, or a priority, can do for calls (gRPC's connectivity states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Idle,
    Connecting,
    Ready,
    Failed,
}
