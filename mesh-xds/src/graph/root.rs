//! Roots: what a target's requests are decided by, and when that is complete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::route::Table;
use mesh_core::snapshot::{Chains, ClusterSlot, HttpFilter, Presence, Root, Snapshot, Stamp};

use super::arena::Key;
use super::node::{Settled, User, take_one};
use super::{Delta, Graph, RootId};
use crate::name::{NameError, ResourceName, ResourceType};
use crate::parse::listener::{ClientListener, Listener, RouteSource};

/// Clusters that requests of one root may demand at a time. They come from header values, so there
/// must be a bound.
const DEMANDS: usize = 1024;

/// Why a cluster cannot be demanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// There is no such root, or no more.
    #[error("the target is gone")]
    UnknownRoot,
    /// No cluster can be called that.
    #[error("invalid cluster name")]
    Name(#[from] NameError),
    /// Requests have named too many clusters of which nothing is known yet.
    #[error("{DEMANDS} demanded clusters are not known yet")]
    TooMany,
}

/// A root.
#[derive(Debug)]
pub(super) struct RootNode {
    pub(super) target: Arc<str>,
    pub(super) listener: Key,
    /// Clusters that requests name, by the name as they wrote it.
    demands: BTreeMap<Arc<str>, Demanded>,
    /// How many there were.
    demanded: u64,
    /// What the newest listener and routes say, as long as not all of it is known.
    pub(super) candidate: Option<Set>,
    /// Clusters of the candidate that are not known.
    pub(super) open: usize,
    /// What is in use.
    pub(super) current: Option<Set>,
    pub(super) state: Arc<Root>,
    is_touched: bool,
    /// Whether clusters of what is in use are to be shown anew.
    is_stale: bool,
    number: u64,
}

/// A cluster that requests name.
#[derive(Clone, Copy, Debug)]
struct Demanded {
    key: Key,
    /// Goes up with every demand.
    number: u64,
}

/// A listener and its routes.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) listener: Arc<ClientListener>,
    pub(super) table: Arc<Table>,
    chains: Arc<Chains>,
    version: Arc<str>,
    /// Parallel to the table's clusters.
    pub(super) clusters: Box<[Key]>,
    /// Those that the filters send side calls to.
    side: Box<[(Arc<str>, Key)]>,
}

/// What listener and routes say.
enum Found {
    Waiting(Arc<str>, Presence),
    Failed(Arc<str>, Presence),
    Routes { listener: Arc<ClientListener>, table: Arc<Table>, version: Arc<str> },
}

impl RootNode {
    pub(super) fn new(target: Arc<str>, listener: Key, now: SystemTime) -> Self {
        let why = "waiting for its listener".into();
        Self {
            target,
            listener,
            demands: BTreeMap::new(),
            demanded: 0,
            candidate: None,
            open: 0,
            current: None,
            state: Arc::new(Root::Waiting { why, presence: Presence::Unknown, since: now }),
            is_touched: false,
            is_stale: false,
            number: 0,
        }
    }
}

impl Set {
    fn all_clusters(&self) -> impl Iterator<Item = &Key> {
        self.clusters.iter().chain(self.side.iter().map(|(_, key)| key))
    }

    fn is(&self, listener: &Arc<ClientListener>, table: &Arc<Table>) -> bool {
        Arc::ptr_eq(&self.listener, listener) && Arc::ptr_eq(&self.table, table)
    }
}

impl Graph {
    /// Looks at a root again before the change is over.
    pub(super) fn touch_root(&mut self, id: RootId) {
        if self.touch_server(id) {
            return;
        }
        if let Some(root) = self.roots.get_mut(&id)
            && !std::mem::replace(&mut root.is_touched, true)
        {
            self.pending.roots.push(id);
        }
    }

    /// One of the clusters that a root's candidate waits for is known.
    pub(super) fn dependency_settled(&mut self, id: RootId) {
        if self.touch_server(id) {
            return;
        }
        if let Some(root) = self.roots.get_mut(&id) {
            root.open = root.open.saturating_sub(1);
            if root.open == 0 {
                self.touch_root(id);
            }
        }
    }

    /// A cluster of a root is to be shown anew.
    pub(super) fn slot_changed(&mut self, id: RootId) {
        if self.touch_server(id) {
            return;
        }
        if let Some(root) = self.roots.get_mut(&id) {
            root.is_stale = true;
            self.touch_root(id);
        }
    }

    pub(super) fn demand(
        &mut self,
        id: RootId,
        name: &str,
        now: SystemTime,
    ) -> Result<(), DemandError> {
        let parsed = ResourceName::parse(ResourceType::Cluster, name)?;
        let root = self.roots.get(&id).ok_or(DemandError::UnknownRoot)?;
        if root.demands.contains_key(name) {
            return Ok(());
        }
        if root.demands.len() >= DEMANDS {
            let given_up = self.dispensable(root).ok_or(DemandError::TooMany)?;
            self.give_up_demand(id, &given_up);
        }
        let key = self.cluster_key(&parsed, now);
        self.hold_cluster(key, User::Demand(id));
        if let Some(root) = self.roots.get_mut(&id) {
            root.demanded += 1;
            root.demands.insert(name.into(), Demanded { key, number: root.demanded });
        }
        self.slot_changed(id);
        Ok(())
    }

    /// The demand of `root` that makes room for another: the oldest of a cluster that cannot be
    /// used, or else of one that can. A request that needs it demands it again. None while requests
    /// wait for all of them.
    fn dispensable(&self, root: &RootNode) -> Option<Arc<str>> {
        let settled = root.demands.iter().filter_map(|(name, demanded)| {
            let is_ready = match &self.clusters.get(demanded.key)?.settled {
                Settled::Waiting => return None,
                Settled::Broken(_) => false,
                Settled::Ready => true,
            };
            Some((is_ready, demanded.number, name))
        });
        settled.min().map(|(.., name)| name.clone())
    }

    fn give_up_demand(&mut self, id: RootId, name: &str) {
        let root = self.roots.get_mut(&id);
        if let Some(demanded) = root.and_then(|root| root.demands.remove(name)) {
            self.release_cluster(demanded.key, User::Demand(id));
        }
    }

    pub(super) fn drop_root(&mut self, id: RootId) {
        let Some(root) = self.roots.remove(&id) else { return };
        for set in [root.candidate, root.current].into_iter().flatten() {
            self.release_set(id, &set);
        }
        for demanded in root.demands.into_values() {
            self.release_cluster(demanded.key, User::Demand(id));
        }
        if let Some(node) = self.listeners.get_mut(root.listener) {
            take_one(&mut node.roots, &id);
            self.pending.unused.push((ResourceType::Listener, root.listener));
        }
    }

    /// Brings a root in line with its listener, routes and clusters.
    pub(super) fn evaluate_root(&mut self, id: RootId, delta: &mut Delta, now: SystemTime) {
        let Some(root) = self.roots.get_mut(&id) else { return };
        root.is_touched = false;
        let listener = root.listener;
        let state = match self.find_routes(listener) {
            Found::Failed(why, presence) => {
                self.release_candidate(id);
                if let Some(set) = self.roots.get_mut(&id).and_then(|root| root.current.take()) {
                    self.release_set(id, &set);
                }
                Some(Root::Failed { why, presence, since: now })
            }
            Found::Waiting(why, presence) => {
                self.release_candidate(id);
                self.show_again(id, || Root::Waiting { why, presence, since: now })
            }
            Found::Routes { listener, table, version } => {
                if !self.has_set(id, &listener, &table) {
                    self.release_candidate(id);
                    self.hold_candidate(id, listener, table, version, now);
                }
                self.switch(id, now)
            }
        };
        let (Some(state), Some(root)) = (state, self.roots.get_mut(&id)) else { return };
        if !is_repeated(&root.state, &state) {
            root.state = Arc::new(state);
            delta.roots.retain(|(other, _)| *other != id);
            delta.roots.push((id, root.state.clone()));
        }
    }

    fn find_routes(&self, listener: Key) -> Found {
        let Some(node) = self.listeners.get(listener) else {
            return Found::Failed("the listener is gone".into(), Presence::Unknown);
        };
        let name = self.listeners.name(listener).map_or("", |name| name.as_str());
        let Some(good) = &node.resource.good else {
            let presence = node.resource.presence;
            return match node.resource.note() {
                Some(why) => Found::Failed(format!("listener {name}: {why}").into(), presence),
                None => Found::Waiting(format!("waiting for listener {name}").into(), presence),
            };
        };
        let listener = match good {
            Listener::Client(listener) => listener.clone(),
            Listener::Server(_) => {
                let why = format!("listener {name} is for servers").into();
                return Found::Failed(why, Presence::Present);
            }
        };
        match &listener.routes {
            RouteSource::Inline(table) => {
                let (table, version) = (table.clone(), node.resource.version.clone());
                Found::Routes { listener, table, version }
            }
            RouteSource::Rds(name) => {
                let route = node.routes.first();
                let resource = route.and_then(|key| self.routes.get(*key)).map(|n| &n.resource);
                let good = resource.and_then(|r| Some((r.good.clone()?, r.version.clone())));
                match (good, resource.and_then(|r| r.note())) {
                    (Some((table, version)), _) => Found::Routes { listener, table, version },
                    (None, Some(why)) => {
                        Found::Failed(format!("routes {name}: {why}").into(), Presence::Present)
                    }
                    (None, None) => Found::Waiting(
                        format!("waiting for routes {name}").into(),
                        Presence::Present,
                    ),
                }
            }
        }
    }

    /// Whether the root uses, or waits for, these routes. Forgets a candidate that was overtaken.
    fn has_set(&mut self, id: RootId, listener: &Arc<ClientListener>, table: &Arc<Table>) -> bool {
        let Some(root) = self.roots.get(&id) else { return true };
        let is_it = |set: &Option<Set>| set.as_ref().is_some_and(|s| s.is(listener, table));
        let (is_current, is_candidate) = (is_it(&root.current), is_it(&root.candidate));
        if is_current {
            self.release_candidate(id);
        }
        is_current || is_candidate
    }

    fn hold_candidate(
        &mut self,
        id: RootId,
        listener: Arc<ClientListener>,
        table: Arc<Table>,
        version: Arc<str>,
        now: SystemTime,
    ) {
        let mut open = 0;
        let mut hold = |name: &Arc<str>| {
            // Checked when the routes were parsed.
            let name = ResourceName::parse(ResourceType::Cluster, name).ok()?;
            let key = self.cluster_key(&name, now);
            self.hold_cluster(key, User::Table(id));
            let settled = self.clusters.get(key).map(|node| &node.settled);
            open += usize::from(settled == Some(&Settled::Waiting));
            Some(key)
        };
        let clusters = table.clusters().iter().filter_map(&mut hold).collect();
        let side = HttpFilter::clusters(&listener.filters).into_iter();
        let side = side.filter_map(|name| hold(&name).map(|key| (name, key))).collect();
        let Some(root) = self.roots.get_mut(&id) else { return };
        // The same filters over the same routes keep what they remember.
        let kept = root.current.as_ref().filter(|c| c.is(&listener, &table));
        let chains = kept.map(|c| c.chains.clone());
        let chains = chains.unwrap_or_else(|| Arc::new(Chains::new(&listener.filters, &table)));
        root.open = open;
        root.candidate = Some(Set { listener, table, chains, version, clusters, side });
    }

    fn release_candidate(&mut self, id: RootId) {
        if let Some(set) = self.roots.get_mut(&id).and_then(|root| root.candidate.take()) {
            self.release_set(id, &set);
        }
    }

    fn release_set(&mut self, id: RootId, set: &Set) {
        for key in set.all_clusters() {
            self.release_cluster(*key, User::Table(id));
        }
    }

    /// Puts the candidate in use if all of it is known; otherwise says what there is.
    fn switch(&mut self, id: RootId, now: SystemTime) -> Option<Root> {
        let root = self.roots.get_mut(&id)?;
        if root.open > 0 && root.candidate.is_some() {
            let (why, presence) = (self.waits_for(id), Presence::Present);
            return self.show_again(id, || Root::Waiting { why, presence, since: now });
        }
        if let Some(candidate) = root.candidate.take() {
            root.is_stale = true;
            if let Some(before) = root.current.replace(candidate) {
                self.release_set(id, &before);
            }
        }
        let (why, presence) = (Arc::default(), Presence::Present);
        self.show_again(id, || Root::Waiting { why, presence, since: now })
    }

    /// The state to publish: what is in use, if it changed; `otherwise` if there is nothing.
    fn show_again(&mut self, id: RootId, otherwise: impl FnOnce() -> Root) -> Option<Root> {
        let root = self.roots.get_mut(&id)?;
        if root.current.is_none() {
            return Some(otherwise());
        }
        if !std::mem::take(&mut root.is_stale) {
            return None;
        }
        root.number += 1;
        let root = self.roots.get(&id)?;
        let set = root.current.as_ref()?;
        let slot = |key: &Key| {
            let node = self.clusters.get(*key);
            node.map_or(ClusterSlot::Broken("the cluster is gone".into()), |node| node.slot())
        };
        let stamp = Stamp { number: root.number, version: set.version.clone() };
        let mut snapshot = Snapshot::new(root.target.clone(), set.table.clone())
            .with_clusters(set.clusters.iter().map(slot))
            .with_chains(set.chains.clone())
            .with_max_stream_duration(set.listener.max_stream_duration)
            .with_stamp(stamp);
        for (name, key) in &set.side {
            snapshot = snapshot.with_named(name.clone(), slot(key));
        }
        for (name, Demanded { key, .. }) in &root.demands {
            let is_known = |key| self.clusters.get(key).map(|n| n.settled != Settled::Waiting);
            if is_known(*key) == Some(true) {
                snapshot = snapshot.with_named(name.clone(), slot(key));
            }
        }
        Some(Root::Ready(snapshot))
    }

    fn waits_for(&self, id: RootId) -> Arc<str> {
        let Some(root) = self.roots.get(&id) else { return Arc::default() };
        let clusters = root.candidate.iter().flat_map(Set::all_clusters);
        let mut waiting = clusters.filter(|key| {
            self.clusters.get(**key).is_some_and(|node| node.settled == Settled::Waiting)
        });
        let first = waiting.next().and_then(|key| self.clusters.name(*key));
        let first = first.map_or("", |name| name.as_str());
        match root.open {
            1 => format!("waiting for cluster {first}").into(),
            open => format!("waiting for cluster {first} and {} more", open - 1).into(),
        }
    }
}

/// Whether `new` says nothing that `old` does not.
fn is_repeated(old: &Root, new: &Root) -> bool {
    match (old, new) {
        (
            Root::Waiting { why: old, presence: was, .. },
            Root::Waiting { why: new, presence: is, .. },
        )
        | (
            Root::Failed { why: old, presence: was, .. },
            Root::Failed { why: new, presence: is, .. },
        ) => old == new && was == is,
        (Root::Waiting { .. } | Root::Failed { .. } | Root::Ready(_), _) => false,
    }
}
