//! News of resources, by type.

use std::sync::Arc;
use std::time::SystemTime;

use super::arena::Key;
use super::node::{EndpointsNode, ListenerNode, RouteNode, take_one};
use super::resource::Change;
use super::{Delta, Event, Graph, RootId, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::{self, Reject};

/// An event with what is said about all of its update.
pub(super) struct News {
    pub(super) event: Event,
    pub(super) fail_on_data_errors: bool,
    pub(super) now: SystemTime,
}

impl Graph {
    pub(super) fn take_in(&mut self, update: Update, delta: &mut Delta, now: SystemTime) {
        let fail_on_data_errors = update.fail_on_data_errors;
        for (name, event) in update.events {
            let news = News { event, fail_on_data_errors, now };
            let reject = match update.kind {
                ResourceType::Listener => self.listener_news(&name, news),
                ResourceType::RouteConfiguration => self.route_news(&name, news),
                ResourceType::Cluster => self.cluster_news(&name, news, delta),
                ResourceType::ClusterLoadAssignment => self.endpoints_news(&name, news),
                ResourceType::Secret => self.secret_news(&name, news, delta),
            };
            delta.rejects.extend(reject.map(|reject| reject.of(name.as_str())));
        }
    }

    fn listener_news(&mut self, name: &ResourceName, news: News) -> Option<Reject> {
        let key = self.listeners.find(name)?;
        let node = self.listeners.get_mut(key)?;
        let News { event, fail_on_data_errors, now } = news;
        let (change, reject) = node.resource.handle(event, fail_on_data_errors, now, |raw| {
            parse::listener::parse(raw, &self.registry)
        });
        let roots = node.roots.clone();
        if change == Change::Value {
            let before = std::mem::take(&mut node.routes);
            let wanted = node.resource.good.as_ref().map(|listener| listener.route_names());
            let wanted = wanted.into_iter().flatten();
            let routes: Vec<Key> = wanted.map(|name| self.route_key(name, now)).collect();
            routes.iter().for_each(|route| self.hold_route(*route, key));
            before.into_iter().for_each(|before| self.release_route(before, key));
            if let Some(node) = self.listeners.get_mut(key) {
                node.routes = routes;
            }
        }
        if change != Change::Nothing {
            roots.into_iter().for_each(|root| self.touch_root(root));
        }
        reject
    }

    fn route_news(&mut self, name: &ResourceName, news: News) -> Option<Reject> {
        let key = self.routes.find(name)?;
        let node = self.routes.get_mut(key)?;
        let News { event, fail_on_data_errors, now } = news;
        let (change, reject) = node.resource.handle(event, fail_on_data_errors, now, |raw| {
            parse::route::parse(raw, &self.registry).map(Arc::new)
        });
        if change != Change::Nothing {
            let listeners = node.listeners.iter().filter_map(|key| self.listeners.get(*key));
            let roots: Vec<RootId> = listeners.flat_map(|l| l.roots.iter().copied()).collect();
            roots.into_iter().for_each(|root| self.touch_root(root));
        }
        reject
    }

    fn endpoints_news(&mut self, name: &ResourceName, news: News) -> Option<Reject> {
        let key = self.endpoints.find(name)?;
        let clusters = std::mem::take(&mut self.endpoints.get_mut(key)?.clusters);
        let News { event, fail_on_data_errors, now } = news;
        // The first cluster's parse decides; whether a resource is valid does not depend on what
        // it replaces.
        let nodes = &mut self.clusters;
        let (change, reject) =
            self.endpoints.get_mut(key)?.resource.handle(event, fail_on_data_errors, now, |raw| {
                clusters.iter().try_for_each(|cluster| match nodes.get_mut(*cluster) {
                    Some(cluster) => cluster.assign(raw, name),
                    None => Ok(()),
                })
            });
        if change != Change::Nothing {
            clusters.iter().for_each(|cluster| self.settle(*cluster));
        }
        self.endpoints.get_mut(key)?.clusters = clusters;
        reject
    }

    pub(super) fn listener_key(&mut self, name: ResourceName, now: SystemTime) -> Key {
        self.listeners.find(&name).unwrap_or_else(|| {
            let key = self.listeners.insert(name, ListenerNode::new(now));
            self.pending.created.push((ResourceType::Listener, key));
            key
        })
    }

    fn route_key(&mut self, name: ResourceName, now: SystemTime) -> Key {
        self.routes.find(&name).unwrap_or_else(|| {
            let key = self.routes.insert(name, RouteNode::new(now));
            self.pending.created.push((ResourceType::RouteConfiguration, key));
            key
        })
    }

    pub(super) fn endpoints_key(&mut self, name: ResourceName, now: SystemTime) -> Key {
        self.endpoints.find(&name).unwrap_or_else(|| {
            let key = self.endpoints.insert(name, EndpointsNode::new(now));
            self.pending.created.push((ResourceType::ClusterLoadAssignment, key));
            key
        })
    }

    fn hold_route(&mut self, route: Key, listener: Key) {
        if let Some(node) = self.routes.get_mut(route) {
            node.listeners.push(listener);
        }
    }

    pub(super) fn release_route(&mut self, route: Key, listener: Key) {
        if let Some(node) = self.routes.get_mut(route) {
            take_one(&mut node.listeners, &listener);
            self.pending.unused.push((ResourceType::RouteConfiguration, route));
        }
    }
}
