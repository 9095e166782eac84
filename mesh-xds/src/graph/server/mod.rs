//! Servers: what their connections are decided by, and when that is complete (gRFC A36).

mod clusters;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::cluster::Address;
use mesh_core::route::Table;
use mesh_core::snapshot::{
    ClusterSlot, FilterChain, HttpFilter, Routes, Routing, ServerRoot, ServerSnapshot, Stamp,
};

use super::arena::Key;
use super::node::{User, take_one};
use super::secret::SecretUser;
use super::{Delta, Graph, RootId};
use crate::name::{ResourceName, ResourceType};
use crate::parse::listener::{Listener, RouteSource, ServerChain, ServerListener};

/// A server as a root.
#[derive(Debug)]
pub(super) struct ServerNode {
    pub(super) address: Address,
    pub(super) listener: Key,
    pub(super) current: Option<Current>,
    pub(super) state: Arc<ServerRoot>,
    /// What a newer listener waits for before it is used.
    pub(super) waiting: Vec<ResourceName>,
    /// Clusters that its filters send side calls to, in order of their names.
    held: Vec<(Arc<str>, Key)>,
    /// The secrets that its chains are secured with, in order of their names.
    pub(super) secrets: Vec<Key>,
    is_touched: bool,
    number: u64,
    epoch: u64,
}

/// What is in use.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) listener: Arc<ServerListener>,
    /// Of each chain, the default one as the last.
    pub(super) routes: Vec<Routing>,
}

/// What a listener and its routes say.
enum Found {
    Waiting(Arc<str>, Vec<ResourceName>),
    Failed(Arc<str>),
    Complete(Arc<ServerListener>, Vec<Result<Arc<Table>, Arc<str>>>),
}

impl ServerNode {
    fn new(address: Address, listener: Key, now: SystemTime) -> Self {
        let why = "waiting for its listener".into();
        Self {
            address,
            listener,
            current: None,
            state: Arc::new(ServerRoot::Waiting { why, since: now }),
            waiting: Vec::new(),
            held: Vec::new(),
            secrets: Vec::new(),
            is_touched: false,
            number: 0,
            epoch: 0,
        }
    }

    /// Puts what is complete in use; whether that says anything new.
    fn adopt(
        &mut self,
        listener: Arc<ServerListener>,
        found: Vec<Result<Arc<Table>, Arc<str>>>,
        slot: &dyn Fn(&str) -> ClusterSlot,
    ) -> bool {
        let current = self.current.take().filter(|c| Arc::ptr_eq(&c.listener, &listener));
        let is_new = current.is_none();
        let before = current.map(|current| current.routes).unwrap_or_default();
        let mut before = before.into_iter();
        let mut has_changed = is_new;
        let mut routes = Vec::with_capacity(found.len());
        for (chain, found) in listener.all_chains().zip(found) {
            let (routing, is_kept) = routing(chain, found, before.next(), slot);
            has_changed |= !is_kept;
            routes.push(routing);
        }
        self.epoch += u64::from(is_new);
        self.current = Some(Current { listener, routes });
        has_changed
    }

    fn snapshot(&self, name: &str, version: &Arc<str>) -> Option<ServerSnapshot> {
        let Current { listener, routes } = self.current.as_ref()?;
        let chain = |(chain, routing): (&ServerChain, &Routing)| {
            Arc::new(FilterChain {
                name: chain.name.clone(),
                security: chain.security.clone(),
                forwarded: chain.forwarded.clone(),
                filters: chain.connection_filters.clone(),
                connections: chain.connections.clone(),
                routing: routing.clone(),
            })
        };
        let mut chains: Vec<_> = listener.all_chains().zip(routes).map(chain).collect();
        let default = listener.default.as_ref().and_then(|_| chains.pop());
        Some(ServerSnapshot {
            listener: name.into(),
            stamp: Stamp { number: self.number, version: version.clone() },
            epoch: self.epoch,
            inspection: listener.inspection,
            selector: listener.selector.clone(),
            chains: chains.into(),
            default,
        })
    }
}

/// The routing of a chain, and whether it is the one `before`.
fn routing(
    chain: &ServerChain,
    found: Result<Arc<Table>, Arc<str>>,
    before: Option<Routing>,
    slot: &dyn Fn(&str) -> ClusterSlot,
) -> (Routing, bool) {
    let clusters = || {
        let names = HttpFilter::clusters(&chain.filters).into_iter();
        names.map(|name| (name.clone(), slot(&name))).collect::<Vec<_>>()
    };
    match (found, before) {
        (Ok(table), Some(Routing::Ready(routes))) if Arc::ptr_eq(&routes.table, &table) => {
            let clusters = clusters();
            if clusters::are_same(&routes.clusters, &clusters) {
                return (Routing::Ready(routes), true);
            }
            (Routing::Ready(Arc::new(routes.with_clusters(clusters))), false)
        }
        (Ok(table), _) => {
            let routes = Routes::new(table, &chain.filters, chain.max_stream_duration);
            let routes = routes.with_clusters(clusters()).rewriting(chain.paths);
            (Routing::Ready(Arc::new(routes)), false)
        }
        (Err(why), Some(Routing::Broken(known))) if known == why => (Routing::Broken(why), true),
        (Err(why), _) => (Routing::Broken(why), false),
    }
}

impl Graph {
    /// Adds a server at `address`, whose listener is called `listener`.
    pub fn add_server(
        &mut self,
        address: Address,
        listener: ResourceName,
        now: SystemTime,
    ) -> (RootId, Delta) {
        let id = RootId(self.next_root);
        self.next_root += 1;
        let key = self.listener_key(listener, now);
        self.servers.insert(id, ServerNode::new(address, key, now));
        if let Some(node) = self.listeners.get_mut(key) {
            node.roots.push(id);
        }
        self.touch_server(id);
        (id, self.finish(Delta::default(), now))
    }

    /// Looks at a server again before the change is over; whether there is such a server.
    pub(super) fn touch_server(&mut self, id: RootId) -> bool {
        let Some(server) = self.servers.get_mut(&id) else { return false };
        if !std::mem::replace(&mut server.is_touched, true) {
            self.pending.servers.push(id);
        }
        true
    }

    pub(super) fn drop_server(&mut self, id: RootId) {
        let Some(server) = self.servers.remove(&id) else { return };
        for (_, key) in server.held {
            self.release_cluster(key, User::Table(id));
        }
        self.release_secrets(SecretUser::Server(id), server.secrets);
        if let Some(node) = self.listeners.get_mut(server.listener) {
            take_one(&mut node.roots, &id);
            self.pending.unused.push((ResourceType::Listener, server.listener));
        }
    }

    /// Brings a server in line with its listener and routes.
    pub(super) fn evaluate_server(&mut self, id: RootId, delta: &mut Delta, now: SystemTime) {
        self.hold_clusters(id, now);
        self.hold_server_secrets(id, now);
        let Some(server) = self.servers.get(&id) else { return };
        let key = server.listener;
        let found = self.with_clusters(self.find_server(key, &server.address));
        let found = self.with_secrets(found, &server.secrets);
        let name = self.listeners.name(key).map_or("", |name| name.as_str()).to_owned();
        let version = self.listeners.get(key).map(|node| node.resource.version.clone());
        let clusters = &self.clusters;
        let Some(server) = self.servers.get_mut(&id) else { return };
        let held = server.held.clone();
        let slot = |name: &str| clusters::slot(clusters, &held, name);
        server.is_touched = false;
        server.waiting = Vec::new();
        let state = match found {
            Found::Failed(why) => {
                server.current = None;
                Some(ServerRoot::NotServing { why, since: now })
            }
            Found::Waiting(why, waiting) => {
                server.waiting = waiting;
                let is_first = server.current.is_none();
                is_first.then_some(ServerRoot::Waiting { why, since: now })
            }
            Found::Complete(listener, routes) => {
                if server.adopt(listener, routes, &slot) {
                    server.number += 1;
                    let snapshot = server.snapshot(&name, &version.unwrap_or_default());
                    snapshot.map(|snapshot| ServerRoot::Serving(Arc::new(snapshot)))
                } else {
                    None
                }
            }
        };
        if let Some(state) = state.filter(|state| !is_repeated(&server.state, state)) {
            server.state = Arc::new(state);
            delta.servers.retain(|(other, _)| *other != id);
            delta.servers.push((id, server.state.clone()));
        }
        // What only the listener before needed.
        self.hold_clusters(id, now);
        self.hold_server_secrets(id, now);
    }

    /// What is complete waits for its secrets.
    fn with_secrets(&self, found: Found, secrets: &[Key]) -> Found {
        match (found, self.open_secret(secrets)) {
            (Found::Complete(..), Some(name)) => {
                Found::Waiting(format!("waiting for secret {name}").into(), vec![name.clone()])
            }
            (found, _) => found,
        }
    }

    fn find_server(&self, listener: Key, address: &Address) -> Found {
        let Some(node) = self.listeners.get(listener) else {
            return Found::Failed("the listener is gone".into());
        };
        let name = self.listeners.name(listener).map_or("", |name| name.as_str());
        let listener = match (&node.resource.good, node.resource.note()) {
            (Some(Listener::Server(listener)), _) => listener,
            (Some(Listener::Client(_)), _) => {
                return Found::Failed(format!("listener {name} is for clients").into());
            }
            (None, Some(why)) => return Found::Failed(format!("listener {name}: {why}").into()),
            (None, None) => {
                return Found::Waiting(format!("waiting for listener {name}").into(), Vec::new());
            }
        };
        if listener.address != *address {
            let own = &listener.address;
            let why = format!("listener {name} is for {own}, and this server is at {address}");
            return Found::Failed(why.into());
        }
        let (mut tables, mut waiting) = (Vec::new(), Vec::new());
        for chain in listener.all_chains() {
            match &chain.routes {
                RouteSource::Inline(table) => tables.push(Ok(table.clone())),
                RouteSource::Rds(name) => match self.table(name) {
                    Some(table) => tables.push(table),
                    None if waiting.contains(name) => {}
                    None => waiting.push(name.clone()),
                },
            }
        }
        match waiting.first() {
            None => Found::Complete(listener.clone(), tables),
            Some(first) => Found::Waiting(format!("waiting for routes {first}").into(), waiting),
        }
    }

    /// The routes called `name`, or what is wrong with them; `None` while neither is known.
    fn table(&self, name: &ResourceName) -> Option<Result<Arc<Table>, Arc<str>>> {
        let resource = &self.routes.get(self.routes.find(name)?)?.resource;
        match (&resource.good, resource.note()) {
            (Some(table), _) => Some(Ok(table.clone())),
            (None, Some(why)) => Some(Err(format!("routes {name}: {why}").into())),
            (None, None) => None,
        }
    }
}

/// Whether `new` says nothing that `old` does not.
fn is_repeated(old: &ServerRoot, new: &ServerRoot) -> bool {
    match (old, new) {
        (ServerRoot::Waiting { why: old, .. }, ServerRoot::Waiting { why: new, .. })
        | (ServerRoot::NotServing { why: old, .. }, ServerRoot::NotServing { why: new, .. }) => {
            old == new
        }
        (
            ServerRoot::Waiting { .. } | ServerRoot::NotServing { .. } | ServerRoot::Serving(_),
            _,
        ) => false,
    }
}
