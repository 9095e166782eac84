//! Which targets and servers stand behind the roots of the graph.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::cell::Cell;
use mesh_core::cluster::Address;
use mesh_core::snapshot::{Presence, Root, ServerRoot};
use rustc_hash::FxHashMap;

use crate::graph::RootId;

/// The targets and servers, by the key that their handles have and by the graph's id.
#[derive(Default)]
pub(super) struct Names {
    by_key: FxHashMap<u64, Wish>,
    by_id: FxHashMap<RootId, u64>,
}

struct Wish {
    what: Wanted,
    id: Option<RootId>,
}

/// Something that somebody wants to know the configuration of.
#[derive(Clone)]
pub(super) enum Wanted {
    Target(Arc<str>, Arc<Cell<Root>>),
    Server(Address, Arc<Cell<ServerRoot>>),
}

impl Names {
    pub(super) fn add(&mut self, key: u64, what: Wanted) {
        self.by_key.insert(key, Wish { what, id: None });
    }

    /// What is wanted is the root `id` of the graph from now on.
    pub(super) fn settle(&mut self, key: u64, id: RootId) {
        if let Some(wish) = self.by_key.get_mut(&key) {
            wish.id = Some(id);
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
        if let Some(Wanted::Target(_, cell)) = self.of(id) {
            cell.publish(root);
        }
    }

    pub(super) fn publish_server(&self, id: RootId, root: Arc<ServerRoot>) {
        if let Some(Wanted::Server(_, cell)) = self.of(id) {
            cell.publish(root);
        }
    }

    fn of(&self, id: RootId) -> Option<&Wanted> {
        let wish = self.by_id.get(&id).and_then(|key| self.by_key.get(key));
        wish.map(|wish| &wish.what)
    }

    pub(super) fn fail(&self, key: u64, why: Arc<str>) {
        let since = SystemTime::now();
        // Whose name leads nowhere may still be in the mesh.
        let presence = Presence::Present;
        match self.by_key.get(&key).map(|wish| &wish.what) {
            Some(Wanted::Target(_, cell)) => {
                cell.publish(Arc::new(Root::Failed { why, presence, since }));
            }
            Some(Wanted::Server(_, cell)) => {
                cell.publish(Arc::new(ServerRoot::NotServing { why, since }));
            }
            None => {}
        }
    }

    /// Tells everybody why they have to wait.
    pub(super) fn wait(&self, why: &Arc<str>) {
        let since = SystemTime::now();
        for wish in self.by_key.values() {
            let why = why.clone();
            match &wish.what {
                Wanted::Target(_, cell) => {
                    let presence = Presence::Unknown;
                    cell.publish(Arc::new(Root::Waiting { why, presence, since }));
                }
                Wanted::Server(_, cell) => {
                    cell.publish(Arc::new(ServerRoot::Waiting { why, since }));
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Wanted)> {
        self.by_key.iter().map(|(key, wish)| (*key, &wish.what))
    }
}
