//! The whole walk: what [`Graph`] must have come to, computed from the resources alone.
//!
//! The oracle of the law in the tests: after every step of any sequence, the incremental graph is
//! where this is. It knows no counts, no keys and no pending work, only the resources, the roots and
//! what was complete before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_core::cluster::Address;
use mesh_core::cluster::{Assignment, Cluster, Discovery};
use mesh_core::route::Table;
use mesh_core::snapshot::{ClusterSlot, HttpFilter, Root, Routing, ServerRoot};

use super::node::Settled;
use super::resource::Resource;
use super::{Graph, RootId};
use crate::name::{ResourceName, ResourceType};
use crate::parse::endpoints;
use crate::parse::listener::{ClientListener, Listener, RouteSource, ServerListener};

/// What can be seen of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    pub(super) wanted: BTreeSet<(ResourceType, String)>,
    /// Complete states, without those of aggregates that no root needs itself.
    pub(super) clusters: BTreeMap<String, ClusterView>,
    pub(super) roots: BTreeMap<RootId, RootView>,
    pub(super) servers: BTreeMap<RootId, ServerView>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ClusterView {
    /// Connect timeout in milliseconds, which tells configurations apart; priority and address of
    /// each endpoint; whether something is noted.
    Ready(u128, Vec<(u32, String)>, bool),
    Broken,
}

#[derive(Clone, Debug)]
pub(super) enum RootView {
    Waiting,
    Failed,
    Ready { set: Set, slots: Vec<(String, bool)> },
}

pub(super) type Set = (Arc<ClientListener>, Arc<Table>);

#[derive(Clone, Debug)]
pub(super) enum ServerView {
    Waiting,
    Failed,
    /// The routes of each chain, if there are any.
    Serving(Arc<ServerListener>, Vec<Option<Arc<Table>>>),
}

impl PartialEq for ServerView {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Waiting, Self::Waiting) | (Self::Failed, Self::Failed) => true,
            (Self::Serving(a, x), Self::Serving(b, y)) => {
                let is_same = |(x, y): (&Option<_>, &Option<_>)| match (x, y) {
                    (Some(x), Some(y)) => Arc::ptr_eq(x, y),
                    (None, None) => true,
                    _ => false,
                };
                Arc::ptr_eq(a, b) && x.iter().zip(y).all(is_same)
            }
            _ => false,
        }
    }
}

impl PartialEq for RootView {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Waiting, Self::Waiting) | (Self::Failed, Self::Failed) => true,
            (Self::Ready { set: a, slots: x }, Self::Ready { set: b, slots: y }) => {
                Arc::ptr_eq(&a.1, &b.1) && x == y
            }
            _ => false,
        }
    }
}

/// A root as it was added.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) listener: String,
    /// Where it listens, if it is a server.
    pub(super) server: Option<Address>,
    pub(super) demands: BTreeSet<String>,
}

fn named(kind: ResourceType, name: &str) -> ResourceName {
    ResourceName::parse(kind, name).unwrap()
}

struct Walk<'a> {
    store: &'a Graph,
    before: &'a View,
}

impl<'a> Walk<'a> {
    fn cluster(&self, name: &str) -> Option<&'a Resource<Arc<mesh_core::cluster::Config>>> {
        let key = self.store.clusters.find(&named(ResourceType::Cluster, name))?;
        self.store.clusters.get(key).map(|node| &node.resource)
    }

    fn children(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        let Discovery::Aggregate(children) = &self.cluster(name)?.good.as_ref()?.discovery else {
            return None;
        };
        Some(children.clone())
    }

    /// What can be reached from an aggregate in order, and whether it is too deep.
    fn members(&self, name: &str) -> (Vec<String>, bool) {
        fn go(walk: &Walk<'_>, name: &str, depth: usize, into: &mut Vec<String>) -> bool {
            let children = walk.children(name);
            let mut is_too_deep = false;
            for child in children.iter().flat_map(|c| c.iter()) {
                if depth == 15 {
                    return true;
                }
                if !into.iter().any(|n| **n == **child) {
                    into.push(child.to_string());
                    is_too_deep |= go(walk, child, depth + 1, into);
                }
            }
            is_too_deep
        }
        let mut members = vec![name.to_owned()];
        let is_too_deep = go(self, name, 0, &mut members);
        members.remove(0);
        (members, is_too_deep)
    }

    /// The complete state of a cluster; `is_root` if a root needs it itself.
    fn settled(&self, name: &str, is_root: bool) -> Option<ClusterView> {
        let before = self.before.clusters.get(name).cloned();
        let resource = self.cluster(name)?;
        let Some(config) = &resource.good else {
            return if resource.error.is_some() { Some(ClusterView::Broken) } else { before };
        };
        let timeout = config.connections.connect_timeout.as_millis();
        let note = resource.error.is_some();
        match &config.discovery {
            Discovery::Static(assignment) => {
                Some(ClusterView::Ready(timeout, list(assignment), note))
            }
            Discovery::Eds { service } => {
                let name = named(ResourceType::ClusterLoadAssignment, service);
                let node = self.store.endpoints.find(&name);
                let resource = &self.store.endpoints.get(node?)?.resource;
                let failed = resource.error.is_some();
                if resource.good.is_some() {
                    let model = endpoints::update(None, &resource.raw).unwrap();
                    Some(ClusterView::Ready(timeout, list(&model), note || failed))
                } else if failed {
                    Some(ClusterView::Ready(timeout, Vec::new(), true))
                } else {
                    before
                }
            }
            Discovery::Aggregate(_) if is_root => {
                self.aggregate(name, timeout, note).unwrap_or(before)
            }
            // Answers of resolvers are no resources: names are tested in tables.
            Discovery::Aggregate(_)
            | Discovery::StrictDns { .. }
            | Discovery::LogicalDns { .. }
            | _ => None,
        }
    }

    /// `None` while parts are missing.
    fn aggregate(&self, name: &str, timeout: u128, note: bool) -> Option<Option<ClusterView>> {
        let (members, is_too_deep) = self.members(name);
        if is_too_deep {
            return Some(Some(ClusterView::Broken));
        }
        let (mut all, mut first, mut leaves) = (Vec::new(), 0, 0);
        for member in members.iter().filter(|m| self.children(m).is_none()) {
            match self.settled(member, false)? {
                ClusterView::Ready(_, endpoints, _) => {
                    leaves += 1;
                    let next = endpoints.iter().map(|(p, _)| first + p + 1).max();
                    all.extend(endpoints.into_iter().map(|(p, a)| (first + p, a)));
                    first = next.unwrap_or(first);
                }
                ClusterView::Broken => {}
            }
        }
        let view = ClusterView::Ready(timeout, all, note);
        Some(Some(if leaves == 0 { ClusterView::Broken } else { view }))
    }

    /// `Err(true)` for failed, `Err(false)` for waiting.
    fn routes(&self, listener: &str) -> Result<Set, bool> {
        let listeners = &self.store.listeners;
        let key = listeners.find(&named(ResourceType::Listener, listener)).ok_or(false)?;
        let resource = &listeners.get(key).unwrap().resource;
        let good = match resource.good.as_ref().ok_or(resource.error.is_some())? {
            Listener::Client(good) => good,
            Listener::Server(_) => return Err(true),
        };
        match &good.routes {
            RouteSource::Inline(table) => Ok((good.clone(), table.clone())),
            RouteSource::Rds(name) => {
                let key = self.store.routes.find(name).ok_or(false)?;
                let resource = &self.store.routes.get(key).unwrap().resource;
                Ok((good.clone(), resource.good.clone().ok_or(resource.error.is_some())?))
            }
        }
    }
}

impl Walk<'_> {
    /// What a server must have come to, after it was `before`.
    fn server(&self, listener: &str, address: &Address, before: Option<&ServerView>) -> ServerView {
        let waiting = match before {
            Some(serving @ ServerView::Serving(..)) => serving.clone(),
            Some(ServerView::Waiting | ServerView::Failed) | None => ServerView::Waiting,
        };
        let key = self.store.listeners.find(&named(ResourceType::Listener, listener)).unwrap();
        let resource = &self.store.listeners.get(key).unwrap().resource;
        let listener = match &resource.good {
            Some(Listener::Server(listener)) if listener.address == *address => listener,
            Some(_) => return ServerView::Failed,
            None if resource.error.is_some() => return ServerView::Failed,
            None => return waiting,
        };
        let mut tables = Vec::new();
        for chain in listener.all_chains() {
            match &chain.routes {
                RouteSource::Inline(table) => tables.push(Some(table.clone())),
                RouteSource::Rds(name) => {
                    let key = self.store.routes.find(name).unwrap();
                    let resource = &self.store.routes.get(key).unwrap().resource;
                    if resource.good.is_none() && resource.error.is_none() {
                        return waiting;
                    }
                    tables.push(resource.good.clone());
                }
            }
        }
        if listener.clusters().any(|name| self.settled(&name, true).is_none()) {
            return waiting;
        }
        ServerView::Serving(listener.clone(), tables)
    }
}

/// The clusters that a client's listener and routes name.
fn clusters((listener, table): &(Arc<ClientListener>, Arc<Table>)) -> Vec<Arc<str>> {
    let mut names = table.clusters().to_vec();
    names.extend(HttpFilter::clusters(&listener.filters));
    names
}

/// What the graph whose resources `store` has must have come to.
pub(super) fn resolve(store: &Graph, wishes: &BTreeMap<RootId, Wish>, before: &View) -> View {
    let walk = Walk { store, before };
    let mut view = View::default();
    let mut direct = BTreeSet::new();
    let mut want = |kind, name: &str| view.wanted.insert((kind, name.to_owned()));
    for (id, wish) in wishes {
        want(ResourceType::Listener, &wish.listener);
        let listener = named(ResourceType::Listener, &wish.listener);
        let listener = store.listeners.find(&listener).and_then(|key| store.listeners.get(key));
        let good = listener.and_then(|node| node.resource.good.as_ref());
        for name in good.into_iter().flat_map(Listener::route_names) {
            want(ResourceType::RouteConfiguration, name.as_str());
        }
        if let Some(address) = &wish.server {
            let server = walk.server(&wish.listener, address, before.servers.get(id));
            if let Some(Listener::Server(newest)) = good {
                direct.extend(newest.clusters().map(|name| name.to_string()));
            }
            if let ServerView::Serving(listener, _) = &server {
                direct.extend(listener.clusters().map(|name| name.to_string()));
            }
            view.servers.insert(*id, server);
            continue;
        }
        let current = match before.roots.get(id) {
            Some(RootView::Ready { set, .. }) => Some(set.clone()),
            _ => None,
        };
        let found = walk.routes(&wish.listener);
        let (current, candidate) = match found {
            Err(true) => (None, None),
            Err(false) => (current, None),
            Ok(set) => {
                let is_complete =
                    clusters(&set).iter().all(|name| walk.settled(name, true).is_some());
                if is_complete { (Some(set), None) } else { (current, Some(set)) }
            }
        };
        for set in current.iter().chain(&candidate) {
            direct.extend(clusters(set).iter().map(|name| name.to_string()));
        }
        direct.extend(wish.demands.iter().cloned());
        let root = match current {
            None if found_failed(&walk, wish) => RootView::Failed,
            None => RootView::Waiting,
            Some(set) => {
                let is_ready = |name: &str| {
                    walk.settled(name, true).map(|view| matches!(view, ClusterView::Ready(..)))
                };
                let slots = set
                    .1
                    .clusters()
                    .iter()
                    .map(|name| (name.to_string(), is_ready(name).unwrap_or(false)));
                let slots = slots.collect();
                RootView::Ready { set, slots }
            }
        };
        view.roots.insert(*id, root);
    }
    let mut clusters = direct.clone();
    for name in &direct {
        clusters.extend(walk.members(name).0);
    }
    for name in clusters {
        want(ResourceType::Cluster, &name);
        if let Some(Discovery::Eds { service }) =
            walk.cluster(&name).and_then(|r| r.good.as_ref()).map(|config| &config.discovery)
        {
            want(ResourceType::ClusterLoadAssignment, service);
        }
        if walk.children(&name).is_none() || direct.contains(&name) {
            let settled = walk.settled(&name, direct.contains(&name));
            view.clusters.extend(settled.map(|view| (name, view)));
        }
    }
    view
}

fn found_failed(walk: &Walk<'_>, wish: &Wish) -> bool {
    matches!(walk.routes(&wish.listener), Err(true))
}

/// What the graph has come to.
pub(super) fn view(graph: &Graph) -> View {
    let wanted = graph.status().resources.into_iter().map(|r| (r.kind, r.name.to_string()));
    let mut clusters = BTreeMap::new();
    for (name, node) in graph.clusters.iter() {
        if node.aggregate().is_some() && node.users.is_empty() {
            continue;
        }
        let view = match &node.settled {
            Settled::Waiting => continue,
            Settled::Broken(_) => ClusterView::Broken,
            Settled::Ready => ready(node.live.as_ref().unwrap()),
        };
        clusters.insert(name.to_string(), view);
    }
    let root = |(id, root): (&RootId, &super::root::RootNode)| {
        let view = match &*root.state {
            Root::Waiting { .. } => RootView::Waiting,
            Root::Failed { .. } => RootView::Failed,
            Root::Ready(snapshot) => {
                let names = snapshot.table().clusters().iter();
                let slots = names
                    .zip(snapshot.clusters())
                    .map(|(name, slot)| (name.to_string(), matches!(slot, ClusterSlot::Ready(_))));
                let slots = slots.collect();
                RootView::Ready {
                    set: (
                        root.current.as_ref().unwrap().listener.clone(),
                        snapshot.table().clone(),
                    ),
                    slots,
                }
            }
        };
        (*id, view)
    };
    let server = |(id, server): (&RootId, &super::server::ServerNode)| {
        let view = match &*server.state {
            ServerRoot::Waiting { .. } => ServerView::Waiting,
            ServerRoot::NotServing { .. } => ServerView::Failed,
            ServerRoot::Serving(snapshot) => {
                let table = |chain: &Arc<mesh_core::snapshot::FilterChain>| match &chain.routing {
                    Routing::Ready(routes) => Some(routes.table.clone()),
                    Routing::Broken(_) => None,
                };
                let tables = snapshot.chains.iter().chain(&snapshot.default).map(table);
                let listener = server.current.as_ref().unwrap().listener.clone();
                ServerView::Serving(listener, tables.collect())
            }
        };
        (*id, view)
    };
    View {
        wanted: wanted.collect(),
        clusters,
        roots: graph.roots.iter().map(root).collect(),
        servers: graph.servers.iter().map(server).collect(),
    }
}

fn ready(live: &Cluster) -> ClusterView {
    let version = live.version().load_full().unwrap();
    let timeout = version.config.connections.connect_timeout.as_millis();
    ClusterView::Ready(timeout, list(&version.assignment), version.note.is_some())
}

/// Priority and address of each endpoint, and each priority by itself: it counts without endpoints.
fn list(assignment: &Assignment) -> Vec<(u32, String)> {
    let each = |l: &mesh_core::cluster::Locality| {
        let addresses = l.endpoints.iter().map(|e| e.address.to_string());
        let all = std::iter::once(String::new()).chain(addresses);
        all.map(|address| (l.priority, address)).collect::<Vec<_>>()
    };
    assignment.localities.iter().flat_map(each).collect()
}
