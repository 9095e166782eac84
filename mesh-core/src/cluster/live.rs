//! A cluster as requests use it: the current version, and what survives versions.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::assignment::Assignment;
use super::config::Config;
use super::usage::{Remaining, Usage};
use crate::cell::Cell;
use crate::request::RoutingPriority;

/// One complete description of a cluster.
#[derive(Clone, Debug)]
pub struct Version {
    /// How to use it.
    pub config: Arc<Config>,
    /// Its endpoints.
    pub assignment: Arc<Assignment>,
    /// Why this is not the newest that the control plane has sent, if it is not.
    pub note: Option<Arc<str>>,
}

/// A cluster that lives on while its descriptions are replaced.
///
/// Shared by all targets that route to it; a request keeps it by its `Arc` until it ends.
pub struct Cluster {
    name: Arc<str>,
    version: Cell<Version>,
    requests: [AtomicU32; 2],
    usage: Arc<Usage>,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Cluster {
    /// A cluster with its first version.
    #[must_use]
    pub fn new(version: Version) -> Arc<Self> {
        Arc::new(Self {
            name: version.config.name.clone(),
            version: Cell::new(Arc::new(version)),
            requests: Default::default(),
            usage: Arc::default(),
            attachment: OnceLock::new(),
        })
    }

    /// The resource name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The current description. Never empty.
    #[must_use]
    pub fn version(&self) -> &Cell<Version> {
        &self.version
    }

    /// Requests under way, of both priorities.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.iter().map(|requests| requests.load(Ordering::Relaxed)).sum()
    }

    /// Counts a request, unless `max` of its priority are under way (gRFC A32).
    #[inline]
    pub fn admit(self: &Arc<Self>, priority: RoutingPriority, max: u32) -> Option<Permit> {
        let requests = &self.requests[priority.index()];
        // One addition and a compare, as gRPC and Envoy do: exact up to callers that race to be
        // refused at the limit, which only ever refuses one more, never admits one more.
        if requests.fetch_add(1, Ordering::Relaxed) >= max {
            requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit { cluster: self.clone(), priority })
    }

    /// What waits for the cluster, and what is open to it.
    #[must_use]
    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// What is left of the limits on requests of `priority`, if that is to be told
    /// (`track_remaining`).
    #[must_use]
    pub fn remaining(&self, priority: RoutingPriority) -> Option<Remaining> {
        let version = self.version.load();
        let limits = *version.as_ref()?.config.limits_of(priority);
        let requests = self.requests[priority.index()].load(Ordering::Relaxed);
        limits.track_remaining.then(|| Remaining {
            requests: limits.max_requests.saturating_sub(requests),
            pending: limits.max_pending.saturating_sub(self.usage.pending(priority)),
            connections: limits.max_connections.saturating_sub(self.usage.connections()),
        })
    }

    /// What the data plane keeps with the cluster, made at first use.
    ///
    /// `None` if somebody attached another type before.
    pub fn attachment<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.attachment.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// What was attached, if anything was.
    #[inline]
    #[must_use]
    pub fn attached<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.attachment.get()?.downcast_ref()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

/// A counted request. Dropping it ends the count.
#[derive(Debug)]
pub struct Permit {
    cluster: Arc<Cluster>,
    priority: RoutingPriority,
}

impl Permit {
    /// The cluster that counts the request.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Whose limit it counts against.
    #[must_use]
    pub fn priority(&self) -> RoutingPriority {
        self.priority
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cluster.requests[self.priority.index()].fetch_sub(1, Ordering::Relaxed);
    }
}
