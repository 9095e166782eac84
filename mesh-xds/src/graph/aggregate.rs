//! Aggregates: clusters made of clusters (gRFC A37, A74).

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::cluster::{Assignment, Version};
use rustc_hash::FxHashSet;

use super::Graph;
use super::arena::Key;
use super::node::{Settled, Source, take_one};
use crate::name::{ResourceName, ResourceType};

/// A cluster this many steps below an aggregate makes it broken.
const DEPTH: usize = 16;

/// What can be reached from an aggregate.
#[derive(Default)]
struct Walk {
    /// In the order they are tried, each once.
    members: Vec<Key>,
    seen: FxHashSet<Key>,
    is_too_deep: bool,
}

impl Graph {
    /// Puts an aggregate that a root needs together from its parts, if all of them are known.
    pub(super) fn evaluate_aggregate(&mut self, key: Key, now: SystemTime) {
        let Some(node) = self.clusters.get(key) else { return };
        let (Some(_), Some(config), false) =
            (node.aggregate(), node.resource.good.clone(), node.users.is_empty())
        else {
            return;
        };
        let note = node.resource.note();
        let mut walk = Walk::default();
        walk.seen.insert(key);
        self.walk(key, 0, &mut walk, now);
        self.hold_members(key, &walk.members);
        if walk.is_too_deep {
            let why = format!("the aggregate has clusters more than {} deep", DEPTH - 1);
            return self.settled(key, Settled::Broken(why.into()));
        }
        let (mut leaves, mut why) = (Vec::new(), None);
        for member in walk.members {
            let Some(node) = self.clusters.get(member) else { continue };
            match (&node.settled, &node.live) {
                _ if node.aggregate().is_some() => {}
                (Settled::Waiting, _) => return,
                (Settled::Ready, live) => leaves.extend(live.clone()),
                (Settled::Broken(reason), _) => why = why.or_else(|| Some(reason.clone())),
            }
        }
        if leaves.is_empty() {
            let why = why.unwrap_or_else(|| "the aggregate has no clusters below it".into());
            return self.settled(key, Settled::Broken(why));
        }
        let assignment = Arc::new(Assignment::concatenate(leaves));
        self.publish_cluster(key, Version { config, assignment, note });
    }

    fn walk(&mut self, key: Key, depth: usize, walk: &mut Walk, now: SystemTime) {
        let children = self.clusters.get(key).and_then(|node| node.aggregate());
        for name in children.iter().flat_map(|children| children.iter()) {
            if depth + 1 >= DEPTH {
                walk.is_too_deep = true;
                return;
            }
            // Checked when the aggregate was parsed.
            let Ok(name) = ResourceName::parse(ResourceType::Cluster, name) else { continue };
            let child = self.cluster_key(&name, now);
            if walk.seen.insert(child) {
                walk.members.push(child);
                self.walk(child, depth + 1, walk, now);
            }
        }
    }

    /// Makes `members` the parts of `key`.
    fn hold_members(&mut self, key: Key, members: &[Key]) {
        let Some(node) = self.clusters.get_mut(key) else { return };
        let new = Source::Aggregate(members.to_vec());
        let Source::Aggregate(before) = std::mem::replace(&mut node.source, new) else { return };
        for member in members {
            if let Some(node) = self.clusters.get_mut(*member) {
                node.holders.push(key);
            }
        }
        self.release_members(key, &before);
    }

    pub(super) fn release_members(&mut self, key: Key, members: &[Key]) {
        for member in members {
            if let Some(node) = self.clusters.get_mut(*member) {
                take_one(&mut node.holders, &key);
                if node.holders.is_empty() {
                    self.pending.unused.push((ResourceType::Cluster, *member));
                }
            }
        }
    }
}
