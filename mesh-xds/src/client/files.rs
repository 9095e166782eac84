//! Resources from files, which are the authority on what there is.
//!
//! A set of files is taken as a whole or not at all. Of a new set, what is wanted and differs is
//! applied from the listeners down, so that a target that switches finds everything in place. What
//! the new set lacks fails: a listener at once, clusters, endpoints and secrets when no target is on its way
//! to a configuration without them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::peers::wall;
use crate::file::{Enforcer, FileError, FileResource, WatchOptions, Watcher};
use crate::graph::{Event, Failure, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;
use crate::status::FilesStatus;

type Key = (ResourceType, ResourceName);

/// The resources of a file or directory, as they are now.
pub(crate) struct Files {
    path: PathBuf,
    watcher: Watcher,
    resources: HashMap<Key, Bytes>,
    /// Counts the sets that were taken; stands for the version of their resources.
    set: u64,
    since: SystemTime,
    /// Why a newer set was not taken.
    error: Option<Failure>,
    wanted: HashSet<Key>,
    /// What is in use, and not in the set any more.
    leaving: HashSet<Key>,
    /// Enforces the policies of the set.
    enforcer: Enforcer,
}

impl Files {
    /// Reads the resources at `path`, and again on `handle` when they change.
    pub(crate) fn open(
        path: &Path,
        (registry, enforcer): (&Registry, Enforcer),
        handle: &Handle,
    ) -> Result<Self, FileError> {
        let (first, watcher) =
            Watcher::open(path, WatchOptions::default(), registry.clone(), handle)?;
        Ok(Self::watched(path, first, watcher, enforcer))
    }

    /// `first`, and later what `watcher` says.
    pub(crate) fn watched(
        path: &Path,
        first: Vec<FileResource>,
        watcher: Watcher,
        enforcer: Enforcer,
    ) -> Self {
        enforcer.enforce(&first, (wall(), now()));
        Self {
            path: path.to_owned(),
            watcher,
            resources: index(first),
            set: 1,
            since: wall(),
            error: None,
            wanted: HashSet::new(),
            leaving: HashSet::new(),
            enforcer,
        }
    }

    pub(super) fn want(&mut self, kind: ResourceType, name: &ResourceName) -> Event {
        let key = (kind, name.clone());
        let event = self.event(&key);
        self.wanted.insert(key);
        event
    }

    pub(super) fn forget(&mut self, kind: ResourceType, name: &ResourceName) {
        let key = (kind, name.clone());
        self.wanted.remove(&key);
        self.leaving.remove(&key);
    }

    pub(super) async fn changed(&mut self) -> Vec<Update> {
        match self.watcher.next().await {
            Some(Ok(resources)) => self.take(resources),
            Some(Err(error)) => {
                tracing::warn!(%error, "files refused, the resources before them stay");
                let message = error.to_string().into();
                self.error = Some(Failure { version: None, time: wall(), message });
                Vec::new()
            }
            // The runtime shuts down, and this task with it.
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, resources: Vec<FileResource>) -> Vec<Update> {
        self.enforcer.enforce(&resources, (wall(), now()));
        let before = std::mem::replace(&mut self.resources, index(resources));
        self.set += 1;
        self.since = wall();
        self.error = None;
        tracing::info!(path = %self.path.display(), set = self.set, "files read again");
        let wanted = self.wanted.iter();
        let changed = wanted.filter(|key| before.get(key) != self.resources.get(key));
        let (gone, mut changed): (Vec<Key>, Vec<Key>) =
            changed.cloned().partition(|key| is_leaf(key.0) && !self.resources.contains_key(key));
        self.leaving.retain(|key| !self.resources.contains_key(key));
        self.leaving.extend(gone);
        changed.sort_unstable();
        self.updates(changed)
    }

    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    pub(super) fn leave(&mut self) -> Vec<Update> {
        let mut gone: Vec<Key> = self.leaving.drain().collect();
        gone.sort_unstable();
        self.updates(gone)
    }

    /// What is so of `keys`, which are in order.
    fn updates(&self, keys: Vec<Key>) -> Vec<Update> {
        let mut updates: Vec<Update> = Vec::new();
        for key in keys {
            let event = self.event(&key);
            let (kind, name) = key;
            match updates.last_mut().filter(|update| update.kind == kind) {
                Some(update) => update.events.push((name, event)),
                None => {
                    let events = vec![(name, event)];
                    updates.push(Update { kind, fail_on_data_errors: true, events });
                }
            }
        }
        updates
    }

    fn event(&self, key: &Key) -> Event {
        match self.resources.get(key) {
            Some(raw) => {
                let version: Arc<str> = self.set.to_string().into();
                Event::Value { raw: raw.clone(), version }
            }
            None => Event::DoesNotExist(format!("it is not in {}", self.path.display()).into()),
        }
    }

    pub(super) fn status(&self) -> FilesStatus {
        FilesStatus {
            path: self.path.clone(),
            set: self.set,
            since: self.since,
            error: self.error.clone(),
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether a resource of this type is used by others only, so that it may go after them.
fn is_leaf(kind: ResourceType) -> bool {
    match kind {
        ResourceType::Cluster | ResourceType::ClusterLoadAssignment | ResourceType::Secret => true,
        ResourceType::Listener | ResourceType::RouteConfiguration => false,
    }
}

/// The resources of known types by their names, which were found valid.
fn index(resources: Vec<FileResource>) -> HashMap<Key, Bytes> {
    let entry = |resource: FileResource| {
        let kind = ResourceType::from_url(&resource.type_url)?;
        let name = ResourceName::parse(kind, &resource.name).ok()?;
        Some(((kind, name), resource.value))
    };
    resources.into_iter().filter_map(entry).collect()
}
