//! A cluster as requests use it: the current version, and what survives versions.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::assignment::Assignment;
use super::config::Config;
use crate::cell::Cell;

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
    requests: AtomicU32,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Cluster {
    /// A cluster with its first version.
    #[must_use]
    pub fn new(version: Version) -> Arc<Self> {
        Arc::new(Self {
            name: version.config.name.clone(),
            version: Cell::new(Arc::new(version)),
            requests: AtomicU32::new(0),
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

    /// Requests under way.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request, unless `max` are under way (gRFC A32).
    #[inline]
    pub fn admit(self: &Arc<Self>, max: u32) -> Option<Permit> {
        // One addition and a compare, as gRPC and Envoy do: exact up to callers that race to be
        // refused at the limit, which only ever refuses one more, never admits one more.
        if self.requests.fetch_add(1, Ordering::Relaxed) >= max {
            self.requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit(self.clone()))
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
pub struct Permit(Arc<Cluster>);

impl Permit {
    /// The cluster that counts the request.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
