//! One priority of an awake balance.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::Status;
use super::first::First;
use crate::cluster::LocalityName;

/// How long a priority may take to become READY before the next one is tried (gRFC A56).
const FAILOVER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Priority {
    /// As the assignment numbers it.
    pub(super) number: u32,
    pub(super) places: Vec<Place>,
    /// Its endpoints in the table.
    pub(super) slots: Range<usize>,
    pub(super) counts: Counts,
    /// Below so many percent of endpoints that are left, it panics.
    pub(super) panics_below: usize,
    /// The one list of `pick_first`; otherwise each endpoint stands for itself.
    pub(super) first: Option<First>,
    /// Endpoints that wait for an attempt.
    pub(super) queue: VecDeque<usize>,
    /// Endpoints that wait for a demand.
    pub(super) parked: Vec<usize>,
    /// Whether it connects to its endpoints. Priorities start lazily, in order.
    pub(super) started: bool,
    /// What it was when it was last looked at.
    pub(super) status: Option<Status>,
    /// Whether it was FAILED more recently than READY or IDLE.
    failed_last: bool,
    /// Until then lower priorities are not tried.
    pub(super) failover: Option<Instant>,
    /// Not needed now; its connections are kept until then.
    pub(super) keep_until: Option<Instant>,
    pub(super) error: Option<Arc<str>>,
    /// When it last became FAILED.
    pub(super) since: Option<Instant>,
}

/// A locality of a priority.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: Arc<LocalityName>,
    pub(super) weight: u32,
    pub(super) slots: Range<usize>,
}

impl Priority {
    /// Calls wait for it, but not for ever.
    pub(super) fn start(&mut self, now: Instant) {
        self.started = true;
        self.failed_last = false;
        self.observe(Status::Connecting, now);
    }

    /// Back to what it was before its first start.
    pub(super) fn stop(&mut self) {
        self.started = false;
        self.status = None;
        self.failed_last = false;
        self.failover = None;
        self.keep_until = None;
        self.error = None;
        self.since = None;
        self.queue.clear();
        self.parked.clear();
        self.first = self.first.is_some().then(First::default);
    }

    /// Takes over the history of the priority it was in the version before.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.started = old.started;
        self.status = old.status;
        self.failed_last = old.failed_last;
        self.failover = old.failover;
        self.keep_until = old.keep_until;
        self.error.clone_from(&old.error);
        self.since = old.since;
    }

    /// What its endpoints make of it.
    pub(super) fn aggregate(&self) -> Status {
        match &self.first {
            _ if self.slots.is_empty() => Status::Failed,
            Some(first) => first.status(),
            None => self.counts.aggregate(),
        }
    }

    /// Notes the status; whether it is another one than before.
    //= A56 § failover timer: started at creation, and on CONNECTING after READY or IDLE.
    pub(super) fn observe(&mut self, status: Status, now: Instant) -> bool {
        if self.status.replace(status) == Some(status) {
            return false;
        }
        match status {
            Status::Ready | Status::Idle => {
                self.failed_last = false;
                self.failover = None;
            }
            Status::Failed => {
                self.failed_last = true;
                self.failover = None;
                self.since = Some(now);
            }
            Status::Connecting if !self.failed_last => self.failover = Some(now + FAILOVER),
            Status::Connecting => {}
        }
        true
    }

    /// The next time something is to be done.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let pass = self.first.as_ref().and_then(|first| first.due);
        [self.failover, self.keep_until, pass].into_iter().flatten().min()
    }
}

/// How many endpoints are in which status.
#[derive(Debug, Default)]
pub(super) struct Counts {
    idle: usize,
    connecting: usize,
    ready: usize,
    failed: usize,
}

impl Counts {
    pub(super) fn add(&mut self, status: Status) {
        *self.of(status) += 1;
    }

    pub(super) fn remove(&mut self, status: Status) {
        *self.of(status) -= 1;
    }

    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    fn of(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Idle => &mut self.idle,
            Status::Connecting => &mut self.connecting,
            Status::Ready => &mut self.ready,
            Status::Failed => &mut self.failed,
        }
    }

    fn aggregate(&self) -> Status {
        if self.ready > 0 {
            Status::Ready
        } else if self.connecting > 0 {
            Status::Connecting
        } else if self.idle > 0 {
            Status::Idle
        } else {
            Status::Failed
        }
    }
}
