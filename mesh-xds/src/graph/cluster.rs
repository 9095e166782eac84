//! Clusters: from a resource and endpoints to something calls can use.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mesh_core::cluster::{Assignment, Cluster, Config, Discovery, Version};
use mesh_core::snapshot::ClusterSlot;

use super::apply::News;
use super::arena::Key;
use super::dns::{Dns, Kind};
use super::node::{Assigned, ClusterNode, Settled, Source, User, take_one};
use super::resource::Change;
use super::{Delta, Graph, Resolve};
use crate::name::{ResourceName, ResourceType};
use crate::parse::{self, Reject};

impl ClusterNode {
    /// Parses endpoints on top of those that are there.
    pub(super) fn assign(&mut self, raw: &Bytes, from: &ResourceName) -> Result<(), Reject> {
        let old = self.assigned.as_ref().map(|old| (&*old.raw, &*old.model));
        let model = Arc::new(parse::endpoints::update(old, raw)?);
        self.assigned = Some(Assigned { raw: raw.clone(), model, from: Some(from.clone()) });
        Ok(())
    }

    /// What calls to it find.
    pub(super) fn slot(&self) -> ClusterSlot {
        match (&self.settled, &self.live) {
            (Settled::Ready, Some(live)) => ClusterSlot::Ready(live.clone()),
            (Settled::Broken(why), _) => ClusterSlot::Broken(why.clone()),
            (Settled::Waiting | Settled::Ready, _) => {
                ClusterSlot::Broken("the cluster is not known yet".into())
            }
        }
    }

    pub(super) fn aggregate(&self) -> Option<Arc<[Arc<str>]>> {
        let Discovery::Aggregate(children) = &self.resource.good.as_ref()?.discovery else {
            return None;
        };
        Some(children.clone())
    }
}

impl Graph {
    pub(super) fn cluster_news(
        &mut self,
        name: &ResourceName,
        news: News,
        delta: &mut Delta,
    ) -> Option<Reject> {
        let key = self.clusters.find(name)?;
        let node = self.clusters.get_mut(key)?;
        let News { event, fail_on_data_errors, now } = news;
        let (change, reject) = node.resource.handle(event, fail_on_data_errors, now, |raw| {
            parse::cluster::parse(raw, &self.registry).map(Arc::new)
        });
        if change == Change::Value {
            self.update_source(key, delta, now);
            self.hold_cluster_secrets(key, now);
        }
        if change != Change::Nothing {
            self.settle(key);
            self.touch_holders(key);
            self.touch_aggregate(key);
        }
        reject
    }

    /// The cluster called `name`, which exists from now on.
    pub(super) fn cluster_key(&mut self, name: &ResourceName, now: SystemTime) -> Key {
        self.clusters.find(name).unwrap_or_else(|| {
            let key = self.clusters.insert(name.clone(), ClusterNode::new(now));
            self.pending.created.push((ResourceType::Cluster, key));
            key
        })
    }

    pub(super) fn hold_cluster(&mut self, key: Key, user: User) {
        let Some(node) = self.clusters.get_mut(key) else { return };
        node.users.push(user);
        if node.users.len() == 1 {
            self.touch_aggregate(key);
        }
    }

    pub(super) fn release_cluster(&mut self, key: Key, user: User) {
        if let Some(node) = self.clusters.get_mut(key) {
            take_one(&mut node.users, &user);
            if node.users.is_empty() {
                self.pending.unused.push((ResourceType::Cluster, key));
            }
        }
    }

    /// Makes the source of endpoints the one that the cluster's configuration names.
    fn update_source(&mut self, key: Key, delta: &mut Delta, now: SystemTime) {
        let Some(node) = self.clusters.get(key) else { return };
        let config = node.resource.good.clone();
        let before = match &node.source {
            Source::Endpoints(before) => Some(*before),
            Source::Own | Source::Dns(_) | Source::Aggregate(_) => None,
        };
        let discovery = config.as_ref().map(|config| &config.discovery);
        match discovery {
            Some(Discovery::Eds { service }) => {
                let kind = ResourceType::ClusterLoadAssignment;
                // Checked when the cluster was parsed.
                let Ok(name) = ResourceName::parse(kind, service) else { return };
                let endpoints = self.endpoints_key(name.clone(), now);
                if before == Some(endpoints) {
                    return;
                }
                self.clear_source(key, delta);
                self.use_endpoints(key, endpoints, &name);
            }
            Some(Discovery::StrictDns { hosts, refresh }) => {
                let (hosts, refresh) = (hosts.clone(), *refresh);
                self.use_dns(key, hosts, Kind::Each, refresh, delta);
            }
            Some(Discovery::LogicalDns { host, refresh }) => {
                let (hosts, refresh) = (Arc::from([host.clone()]), *refresh);
                self.use_dns(key, hosts, Kind::Together, refresh, delta);
            }
            Some(Discovery::Aggregate(_)) => {
                let Some(node) = self.clusters.get_mut(key) else { return };
                if !matches!(node.source, Source::Aggregate(_)) {
                    self.clear_source(key, delta);
                }
                let Some(node) = self.clusters.get_mut(key) else { return };
                if !matches!(node.source, Source::Aggregate(_)) {
                    node.source = Source::Aggregate(Vec::new());
                }
                if node.users.is_empty() {
                    // Nobody looks at it but through other aggregates, which look at its parts.
                    node.settled = Settled::Waiting;
                    node.live = None;
                }
            }
            Some(_) | None => self.clear_source(key, delta),
        }
    }

    fn use_endpoints(&mut self, key: Key, endpoints: Key, name: &ResourceName) {
        let Some(source) = self.endpoints.get_mut(endpoints) else { return };
        source.clusters.push(key);
        let raw = source.resource.good.is_some().then(|| source.resource.raw.clone());
        let Some(node) = self.clusters.get_mut(key) else { return };
        node.source = Source::Endpoints(endpoints);
        if let Some(raw) = raw {
            // It was valid before, and is not less so for another cluster.
            let _ = node.assign(&raw, name);
        }
    }

    fn use_dns(
        &mut self,
        key: Key,
        hosts: Arc<[mesh_core::cluster::HostPort]>,
        kind: Kind,
        refresh: std::time::Duration,
        delta: &mut Delta,
    ) {
        let Some(node) = self.clusters.get(key) else { return };
        let is_same = matches!(&node.source, Source::Dns(dns) if dns.is_for(&hosts, kind));
        if !is_same {
            self.clear_source(key, delta);
            if let Some(node) = self.clusters.get_mut(key) {
                node.source = Source::Dns(Box::new(Dns::new(hosts.clone(), kind)));
            }
        }
        if let Some(name) = self.clusters.name(key) {
            let resolve = Resolve { cluster: name.clone(), hosts, refresh };
            delta.resolved_no_more.retain(|cluster| *cluster != resolve.cluster);
            delta.resolve.retain(|other| other.cluster != resolve.cluster);
            delta.resolve.push(resolve);
        }
    }

    /// Lets go of what gave the cluster its endpoints.
    pub(super) fn clear_source(&mut self, key: Key, delta: &mut Delta) {
        let Some(node) = self.clusters.get_mut(key) else { return };
        match std::mem::take(&mut node.source) {
            Source::Own => {}
            Source::Endpoints(endpoints) => {
                if let Some(node) = self.endpoints.get_mut(endpoints) {
                    take_one(&mut node.clusters, &key);
                    let unused = (ResourceType::ClusterLoadAssignment, endpoints);
                    self.pending.unused.push(unused);
                }
            }
            Source::Dns(_) => {
                if let Some(name) = self.clusters.name(key) {
                    delta.resolve.retain(|other| other.cluster != *name);
                    delta.resolved_no_more.push(name.clone());
                }
            }
            Source::Aggregate(members) => self.release_members(key, &members),
        }
    }

    pub(super) fn answer(
        &mut self,
        cluster: &ResourceName,
        host: usize,
        result: Result<Vec<IpAddr>, Arc<str>>,
    ) {
        let Some(key) = self.clusters.find(cluster) else { return };
        let Some(node) = self.clusters.get_mut(key) else { return };
        let Source::Dns(dns) = &mut node.source else { return };
        dns.answer(host, result);
        if dns.is_complete() {
            let old = node.assigned.take().map(|assigned| assigned.model).unwrap_or_default();
            let model = Arc::new(dns.assignment(&old));
            node.assigned = Some(Assigned { raw: Bytes::new(), model, from: None });
            self.settle(key);
        }
    }

    /// Looks whether a cluster with endpoints of its own is complete, and publishes it if so.
    pub(super) fn settle(&mut self, key: Key) {
        let Some(node) = self.clusters.get(key) else { return };
        let Some(config) = node.resource.good.clone() else {
            if let Some(why) = node.resource.note() {
                self.settled(key, Settled::Broken(why));
            }
            return;
        };
        // Until there is something to be said of each secret, what is in use stays in use.
        if self.open_secret(&node.secrets).is_some() {
            return;
        }
        let note = node.resource.note();
        let found = match (&node.source, &config.discovery) {
            (Source::Own, Discovery::Static(assignment)) => Some((assignment.clone(), note)),
            (Source::Endpoints(endpoints), _) => {
                let name = self.endpoints.name(*endpoints);
                let resource = self.endpoints.get(*endpoints).map(|node| &node.resource);
                let assigned = node.assigned.as_ref().filter(|a| a.from.as_ref() == name);
                match (resource, assigned) {
                    (Some(resource), Some(assigned)) if resource.good.is_some() => {
                        Some((assigned.model.clone(), note.or_else(|| resource.note())))
                    }
                    (Some(resource), _) => {
                        resource.note().map(|why| (Arc::default(), note.or(Some(why))))
                    }
                    (None, _) => None,
                }
            }
            (Source::Dns(dns), _) => {
                let assigned = node.assigned.as_ref().filter(|_| dns.is_complete());
                assigned.map(|a| (a.model.clone(), note.or_else(|| dns.note())))
            }
            (Source::Own | Source::Aggregate(_), _) => None,
        };
        if let Some((assignment, note)) = found {
            let note = note.or_else(|| self.secret_note(&node.secrets));
            self.publish_cluster(key, Version { config, assignment, note });
        }
    }

    /// Makes `version` what calls to the cluster see.
    pub(super) fn publish_cluster(&mut self, key: Key, version: Version) {
        let Some(node) = self.clusters.get_mut(key) else { return };
        match &node.live {
            None => node.live = Some(Cluster::new(version)),
            Some(live) => {
                let is_same = live.version().load().as_ref().is_some_and(|v| is_same(v, &version));
                if is_same && node.settled == Settled::Ready {
                    return;
                }
                if !is_same {
                    live.version().publish(Arc::new(version));
                }
            }
        }
        self.trim_cluster_secrets(key);
        self.settled(key, Settled::Ready);
    }

    /// The cluster has a complete state. Tells those who wait for it, or must show another one.
    pub(super) fn settled(&mut self, key: Key, new: Settled) {
        let Some(node) = self.clusters.get_mut(key) else { return };
        let old = std::mem::replace(&mut node.settled, new);
        if old != node.settled {
            let users = node.users.clone();
            for user in users {
                match (user, &old) {
                    (User::Table(root), Settled::Waiting) => self.dependency_settled(root),
                    (User::Table(root) | User::Demand(root), _) => self.slot_changed(root),
                }
            }
        }
        // Aggregates are put together from leaves. What an aggregate within comes to is not their
        // concern, and two that hold each other would never come to rest.
        if self.clusters.get(key).is_some_and(|node| node.aggregate().is_none()) {
            self.touch_holders(key);
        }
    }

    /// Looks at the cluster again before the change is over, if it is an aggregate of a root.
    fn touch_aggregate(&mut self, key: Key) {
        let node = self.clusters.get(key);
        let is_due = node.is_some_and(|n| n.aggregate().is_some() && !n.users.is_empty());
        if is_due && !self.pending.aggregates.contains(&key) {
            self.pending.aggregates.push(key);
        }
    }

    /// The aggregates that the cluster is part of may look different now.
    pub(super) fn touch_holders(&mut self, key: Key) {
        if let Some(node) = self.clusters.get(key) {
            for holder in &node.holders {
                if !self.pending.aggregates.contains(holder) {
                    self.pending.aggregates.push(*holder);
                }
            }
        }
    }
}

fn is_same(a: &Version, b: &Version) -> bool {
    let is_same_config = |a: &Arc<Config>, b: &Arc<Config>| Arc::ptr_eq(a, b);
    let is_same_assignment = |a: &Arc<Assignment>, b: &Arc<Assignment>| {
        let (left, right) = (&a.leaves, &b.leaves);
        let is_same_leaves = left.len() == right.len()
            && left.iter().zip(right).all(|(a, b)| Arc::ptr_eq(&a.version, &b.version));
        let is_empty = |a: &Assignment| a.localities.is_empty() && a.drops.is_empty();
        Arc::ptr_eq(a, b)
            || (!left.is_empty() && is_same_leaves)
            || (left.is_empty() && right.is_empty() && is_empty(a) && is_empty(b))
    };
    is_same_config(&a.config, &b.config)
        && is_same_assignment(&a.assignment, &b.assignment)
        && a.note == b.note
}
