//! Nodes by name and by a short key.

use std::collections::BTreeMap;

use crate::name::ResourceName;

/// A node of one [`Arena`]. Valid until that node is removed, and never valid again after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64);

/// Nodes of one kind.
///
/// Trees, because their memory follows the number of nodes, down as well as up. Hash maps keep
/// what they once had, or move everything to give it back.
#[derive(Debug)]
pub(super) struct Arena<N> {
    names: BTreeMap<ResourceName, Key>,
    /// In boxes, so that room for nodes to come is room for pointers.
    nodes: BTreeMap<Key, Box<(ResourceName, N)>>,
    next: u64,
}

impl<N> Default for Arena<N> {
    fn default() -> Self {
        Self { names: BTreeMap::new(), nodes: BTreeMap::new(), next: 0 }
    }
}

impl<N> Arena<N> {
    pub(super) fn find(&self, name: &ResourceName) -> Option<Key> {
        self.names.get(name).copied()
    }

    pub(super) fn get(&self, key: Key) -> Option<&N> {
        self.nodes.get(&key).map(|node| &node.1)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut N> {
        self.nodes.get_mut(&key).map(|node| &mut node.1)
    }

    pub(super) fn name(&self, key: Key) -> Option<&ResourceName> {
        self.nodes.get(&key).map(|node| &node.0)
    }

    /// Adds `node`, whose name is not there yet.
    pub(super) fn insert(&mut self, name: ResourceName, node: N) -> Key {
        let key = Key(self.next);
        self.next += 1;
        self.names.insert(name.clone(), key);
        self.nodes.insert(key, Box::new((name, node)));
        key
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<(ResourceName, N)> {
        let (name, node) = *self.nodes.remove(&key)?;
        self.names.remove(&name);
        Some((name, node))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ResourceName, &N)> {
        self.nodes.values().map(|node| (&node.0, &node.1))
    }
}
