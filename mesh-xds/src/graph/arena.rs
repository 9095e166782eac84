//! Nodes by name and by a short key.

use rustc_hash::FxHashMap;

use crate::name::ResourceName;

/// A node of one [`Arena`]. Valid until that node is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u32);

/// Nodes of one kind.
#[derive(Debug)]
pub(super) struct Arena<N> {
    names: FxHashMap<ResourceName, Key>,
    nodes: Vec<Option<(ResourceName, N)>>,
    free: Vec<Key>,
}

impl<N> Default for Arena<N> {
    fn default() -> Self {
        Self { names: FxHashMap::default(), nodes: Vec::new(), free: Vec::new() }
    }
}

impl<N> Arena<N> {
    pub(super) fn find(&self, name: &ResourceName) -> Option<Key> {
        self.names.get(name).copied()
    }

    pub(super) fn get(&self, key: Key) -> Option<&N> {
        self.slot(key).map(|(_, node)| node)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut N> {
        let slot = usize::try_from(key.0).ok().and_then(|at| self.nodes.get_mut(at));
        slot.and_then(Option::as_mut).map(|(_, node)| node)
    }

    pub(super) fn name(&self, key: Key) -> Option<&ResourceName> {
        self.slot(key).map(|(name, _)| name)
    }

    /// Adds `node`, whose name is not there yet.
    pub(super) fn insert(&mut self, name: ResourceName, node: N) -> Key {
        let key = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            Key(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
        });
        self.names.insert(name.clone(), key);
        if let Some(slot) = usize::try_from(key.0).ok().and_then(|at| self.nodes.get_mut(at)) {
            *slot = Some((name, node));
        }
        key
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<(ResourceName, N)> {
        let slot = usize::try_from(key.0).ok().and_then(|at| self.nodes.get_mut(at));
        let (name, node) = slot.and_then(Option::take)?;
        self.names.remove(&name);
        self.free.push(key);
        if self.names.is_empty() {
            // The memory of many nodes goes with the last of them.
            *self = Self::default();
        }
        Some((name, node))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ResourceName, &N)> {
        self.nodes.iter().flatten().map(|(name, node)| (name, node))
    }

    fn slot(&self, key: Key) -> Option<&(ResourceName, N)> {
        usize::try_from(key.0).ok().and_then(|at| self.nodes.get(at)).and_then(Option::as_ref)
    }
}
