//! Secrets: what handshakes present, and whom they trust (SDS).
//!
//! A secret is no part of what leads to it. It has a feed, which handshakes read: a new version of it
//! reaches the next one, and replaces neither cluster nor listener. Those only wait until there is
//! something to be said of each secret that they name, good or bad.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mesh_core::identity::{Feed, Material, Source};

use super::apply::News;
use super::arena::Key;
use super::delta::SecretNews;
use super::node::take_one;
use super::resource::{Change, Resource};
use super::{Delta, Graph, RootId};
use crate::name::{ResourceName, ResourceType};
use crate::parse::listener::Listener;
use crate::parse::{self, Reject};

/// A secret. Its bytes are not kept: nobody may see them.
#[derive(Debug)]
pub(super) struct SecretNode {
    pub(super) resource: Resource<()>,
    pub(super) users: Vec<SecretUser>,
    pub(super) feed: Arc<Feed>,
}

/// Who needs a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretUser {
    Cluster(Key),
    Server(RootId),
}

impl SecretNode {
    fn new(now: SystemTime) -> Self {
        let feed = Arc::new(Feed::empty("the management server has not sent it yet"));
        Self { resource: Resource::new(now), users: Vec::new(), feed }
    }

    /// Gives what was found, or says that there is nothing; what there is to tell of it.
    fn publish(&self, found: Option<Material>, change: Change) -> Option<SecretNews> {
        if let Some(material) = found {
            if self.feed.current().is_ok_and(|current| current.is_same(&material)) {
                return None;
            }
            let expires = material.identity.as_ref().map(|identity| identity.expires);
            self.feed.publish(material);
            return Some(SecretNews::Renewed { expires });
        }
        let why = self.resource.note()?;
        match (change, &self.resource.good) {
            (Change::Nothing, _) => None,
            (Change::Note | Change::Value, Some(())) => Some(SecretNews::Failed(why)),
            (Change::Note, None) => {
                self.feed.withdraw(&why);
                Some(SecretNews::Failed(why))
            }
            (Change::Value, None) => {
                self.feed.withdraw(&why);
                Some(SecretNews::Withdrawn(why))
            }
        }
    }

    /// Neither it nor an error is there.
    fn is_open(&self) -> bool {
        self.resource.good.is_none() && self.resource.error.is_none()
    }
}

impl Graph {
    pub(super) fn secret_news(
        &mut self,
        name: &ResourceName,
        news: News,
        delta: &mut Delta,
    ) -> Option<Reject> {
        let key = self.secrets.find(name)?;
        let node = self.secrets.get_mut(key)?;
        let News { event, fail_on_data_errors, now } = news;
        let mut found = None;
        let (change, reject) = node.resource.handle(event, fail_on_data_errors, now, |raw| {
            found = Some(parse::secret::parse(raw, &self.registry)?);
            Ok(())
        });
        node.resource.raw = Bytes::new();
        let told = node.publish(found, change);
        delta.secrets.extend(told.map(|news| (name.clone(), news)));
        if change != Change::Nothing {
            for user in node.users.clone() {
                match user {
                    SecretUser::Cluster(cluster) => self.settle(cluster),
                    SecretUser::Server(id) => drop(self.touch_server(id)),
                }
            }
        }
        reject
    }

    /// Holds the secrets that the newest configuration of a cluster and the one in use name, and no
    /// others.
    pub(super) fn hold_cluster_secrets(&mut self, key: Key, now: SystemTime) {
        let names = self.cluster_secrets(key);
        if names.is_empty() && self.clusters.get(key).is_none_or(|node| node.secrets.is_empty()) {
            return;
        }
        let held = self.hold_secrets(SecretUser::Cluster(key), names, now);
        let Some(node) = self.clusters.get_mut(key) else { return };
        let before = std::mem::replace(&mut node.secrets, held);
        self.release_secrets(SecretUser::Cluster(key), before);
    }

    /// Lets go of what only a configuration of the cluster named that is not in use any more.
    pub(super) fn trim_cluster_secrets(&mut self, key: Key) {
        if self.clusters.get(key).is_none_or(|node| node.secrets.is_empty()) {
            return;
        }
        let names = self.cluster_secrets(key);
        let secrets = &self.secrets;
        let is_gone = |key: &mut Key| {
            let name = secrets.name(*key).map(ResourceName::as_str);
            !names.iter().any(|named| Some(&**named) == name)
        };
        let Some(node) = self.clusters.get_mut(key) else { return };
        let gone = node.secrets.extract_if(.., is_gone).collect();
        self.release_secrets(SecretUser::Cluster(key), gone);
    }

    /// What the newest configuration of a cluster and the one in use name; one may stand twice.
    fn cluster_secrets(&self, key: Key) -> Vec<Arc<str>> {
        let Some(node) = self.clusters.get(key) else { return Vec::new() };
        let live = node.live.as_ref().and_then(|live| live.version().load_full());
        let configs = node.resource.good.iter().chain(live.as_ref().map(|version| &version.config));
        configs.flat_map(|config| config.security.secrets()).cloned().collect()
    }

    /// Holds the secrets that the newest listener of a server and the one in use name, and no
    /// others.
    pub(super) fn hold_server_secrets(&mut self, id: RootId, now: SystemTime) {
        let Some(server) = self.servers.get(&id) else { return };
        let newest = self.listeners.get(server.listener).and_then(|n| n.resource.good.as_ref());
        let newest = newest.and_then(|listener| match listener {
            Listener::Server(listener) => Some(listener),
            Listener::Client(_) => None,
        });
        let current = server.current.as_ref().map(|current| &current.listener);
        let listeners = newest.into_iter().chain(current);
        let names: Vec<_> = listeners.flat_map(|listener| listener.secrets()).cloned().collect();
        if names.is_empty() && server.secrets.is_empty() {
            return;
        }
        let held = self.hold_secrets(SecretUser::Server(id), names, now);
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = std::mem::replace(&mut server.secrets, held);
        self.release_secrets(SecretUser::Server(id), before);
    }

    fn hold_secrets(
        &mut self,
        user: SecretUser,
        mut names: Vec<Arc<str>>,
        now: SystemTime,
    ) -> Vec<Key> {
        names.sort_unstable();
        names.dedup();
        let hold = |name: Arc<str>| {
            // Checked when what names it was parsed.
            let name = ResourceName::parse(ResourceType::Secret, &name).ok()?;
            let key = self.secrets.find(&name).unwrap_or_else(|| {
                let key = self.secrets.insert(name, SecretNode::new(now));
                self.pending.created.push((ResourceType::Secret, key));
                key
            });
            self.secrets.get_mut(key)?.users.push(user);
            Some(key)
        };
        names.into_iter().filter_map(hold).collect()
    }

    pub(super) fn release_secrets(&mut self, user: SecretUser, keys: Vec<Key>) {
        for key in keys {
            if let Some(node) = self.secrets.get_mut(key) {
                take_one(&mut node.users, &user);
                self.pending.unused.push((ResourceType::Secret, key));
            }
        }
    }

    /// The first of `keys` of which nothing is known yet.
    pub(super) fn open_secret(&self, keys: &[Key]) -> Option<&ResourceName> {
        let is_open = |key: &&Key| self.secrets.get(**key).is_some_and(SecretNode::is_open);
        keys.iter().find(is_open).and_then(|key| self.secrets.name(*key))
    }

    /// What is wrong with the first of `keys` with which something is.
    pub(super) fn secret_note(&self, keys: &[Key]) -> Option<Arc<str>> {
        let note = |key: &Key| {
            let why = self.secrets.get(*key)?.resource.note()?;
            Some(format!("secret {}: {why}", self.secrets.name(*key)?).into())
        };
        keys.iter().find_map(note)
    }
}
