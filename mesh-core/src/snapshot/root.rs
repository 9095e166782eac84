//! What is known for a target.

use std::sync::Arc;
use std::time::SystemTime;

use super::Snapshot;
use crate::cluster::Cluster;

/// The state of a target, published in a [`Cell`](crate::cell::Cell).
#[derive(Clone, Debug)]
pub enum Root {
    /// There has been no complete configuration yet.
    Waiting {
        /// What was waited for when this was published. Not republished for each part that arrives.
        why: Arc<str>,
        /// Whether there is such a target.
        presence: Presence,
        /// Since when.
        since: SystemTime,
    },
    /// Requests are decided by this. A later configuration that is not complete does not show.
    Ready(Snapshot),
    /// There is none, and waiting longer will not help.
    Failed {
        /// What is missing or refused.
        why: Arc<str>,
        /// Whether there is such a target.
        presence: Presence,
        /// Since when.
        since: SystemTime,
    },
}

impl Root {
    /// The configuration, if there is one.
    #[inline]
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Ready(snapshot) => Some(snapshot),
            Self::Waiting { .. } | Self::Failed { .. } => None,
        }
    }
}

/// Whether there is such a target, as far as its source of configuration has said.
///
/// What is in no mesh may be dealt with in other ways than by the mesh's rules; what is in it and
/// cannot be used may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Nothing has been said.
    Unknown,
    /// There is one, usable or not.
    Present,
    /// The source has answered without it. It may still come.
    Absent,
    /// Nothing is known, and the source cannot be reached.
    Unreachable,
}

/// Which of a target's configurations a snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Goes up with every configuration of the target. The first is 1.
    pub number: u64,
    /// The version that the control plane gave to its routes; empty if it gave none.
    pub version: Arc<str>,
}

/// A cluster that a configuration names, or why it cannot be used.
#[derive(Clone, Debug)]
pub enum ClusterSlot {
    /// It can be used.
    Ready(Arc<Cluster>),
    /// It cannot; the reason. Calls to other clusters go on.
    Broken(Arc<str>),
}
