//! Which targets stand behind the roots of the graph.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::cell::Cell;
use mesh_core::snapshot::{Presence, Root};
use rustc_hash::FxHashMap;

use crate::graph::RootId;

/// The targets, by the key that their handles have and by the graph's id.
#[derive(Default)]
pub(super) struct Names {
    by_key: FxHashMap<u64, Target>,
    by_id: FxHashMap<RootId, u64>,
}

pub(super) struct Target {
    pub(super) name: Arc<str>,
    pub(super) id: Option<RootId>,
    cell: Arc<Cell<Root>>,
}

impl Names {
    pub(super) fn add(&mut self, key: u64, name: Arc<str>, cell: Arc<Cell<Root>>) {
        self.by_key.insert(key, Target { name, id: None, cell });
    }

    /// The target is the root `id` of the graph from now on.
    pub(super) fn settle(&mut self, key: u64, id: RootId) {
        if let Some(target) = self.by_key.get_mut(&key) {
            target.id = Some(id);
            self.by_id.insert(id, key);
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<RootId> {
        let id = self.by_key.remove(&key)?.id?;
        self.by_id.remove(&id);
        Some(id)
    }

    pub(super) fn id(&self, key: u64) -> Option<RootId> {
        self.by_key.get(&key)?.id
    }

    pub(super) fn publish(&self, id: RootId, root: Arc<Root>) {
        let target = self.by_id.get(&id).and_then(|key| self.by_key.get(key));
        if let Some(target) = target {
            target.cell.publish(root);
        }
    }

    pub(super) fn fail(&self, key: u64, why: Arc<str>) {
        if let Some(target) = self.by_key.get(&key) {
            // Whose name leads nowhere may still be in the mesh.
            let (presence, since) = (Presence::Present, SystemTime::now());
            target.cell.publish(Arc::new(Root::Failed { why, presence, since }));
        }
    }

    /// Tells every target why it has to wait.
    pub(super) fn wait(&self, why: &Arc<str>) {
        for target in self.by_key.values() {
            let (presence, since) = (Presence::Unknown, SystemTime::now());
            let root = Root::Waiting { why: why.clone(), presence, since };
            target.cell.publish(Arc::new(root));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Target)> {
        self.by_key.iter().map(|(key, target)| (*key, target))
    }
}
