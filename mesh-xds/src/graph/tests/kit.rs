//! A graph in words.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::cluster::{Assignment, Cluster, Version};
use mesh_core::snapshot::{ClusterSlot, Root, Snapshot};
use prost::Message;

use crate::fixtures::{assignment, cluster, listener, locality, manager, rds, routes_to};
use crate::graph::{Delta, Event, Graph, RootId, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;

pub(super) const LDS: ResourceType = ResourceType::Listener;
pub(super) const RDS: ResourceType = ResourceType::RouteConfiguration;
pub(super) const CDS: ResourceType = ResourceType::Cluster;
pub(super) const EDS: ResourceType = ResourceType::ClusterLoadAssignment;
pub(super) const SDS: ResourceType = ResourceType::Secret;

pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)
}

pub(super) fn name(kind: ResourceType, text: &str) -> ResourceName {
    ResourceName::parse(kind, text).unwrap()
}

pub(super) fn value(message: &impl Message) -> Event {
    Event::Value { raw: message.encode_to_vec().into(), version: "1".into() }
}

pub(super) fn gone() -> Event {
    Event::DoesNotExist("does not exist".into())
}

/// A graph in words.
pub(super) struct Kit {
    pub(super) graph: Graph,
    pub(super) roots: Vec<RootId>,
}

impl Kit {
    /// One root, `xds:///l`.
    pub(super) fn new() -> Self {
        Self::over(Registry::default())
    }

    pub(super) fn over(registry: Registry) -> Self {
        let mut kit = Self { graph: Graph::new(registry), roots: Vec::new() };
        assert_eq!(kit.root("l"), "+LDS l, waiting for listener l");
        kit
    }

    pub(super) fn root(&mut self, listener: &str) -> String {
        let target = format!("xds:///{listener}").into();
        let (id, delta) = self.graph.add_root(target, name(LDS, listener), now());
        self.roots.push(id);
        words(&delta)
    }

    pub(super) fn event(
        &mut self,
        kind: ResourceType,
        of: &str,
        event: Event,
        fail: bool,
    ) -> Delta {
        let events = vec![(name(kind, of), event)];
        self.graph.apply(Update { kind, fail_on_data_errors: fail, events }, now())
    }

    pub(super) fn put(&mut self, kind: ResourceType, of: &str, message: &impl Message) -> String {
        words(&self.event(kind, of, value(message), false))
    }

    pub(super) fn fail(&mut self, kind: ResourceType, of: &str, event: Event) -> String {
        words(&self.event(kind, of, event, false))
    }

    /// `xds:///l` with routes `r` to `clusters`.
    pub(super) fn routed(clusters: &[&str]) -> Self {
        let mut kit = Self::new();
        kit.put(LDS, "l", &listener("l", &manager(rds("r"))));
        kit.put(RDS, "r", &routes_to("r", clusters));
        kit
    }

    /// The same with EDS cluster `c` that has endpoint `10.0.0.1:80`.
    pub(super) fn ready() -> Self {
        let mut kit = Self::routed(&["c"]);
        kit.put(CDS, "c", &cluster("c", "e"));
        kit.put(EDS, "e", &assignment("e", vec![locality("z", 0, &["10.0.0.1:80"])]));
        kit
    }

    pub(super) fn state(&self) -> Arc<Root> {
        self.graph.status().roots[0].state.clone()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.state().snapshot().unwrap().clone()
    }

    pub(super) fn why(&self) -> String {
        match &*self.state() {
            Root::Waiting { why, .. } | Root::Failed { why, .. } => why.to_string(),
            Root::Ready(_) => "ready".into(),
        }
    }

    pub(super) fn live(&self) -> Arc<Cluster> {
        match &self.snapshot().clusters()[0] {
            ClusterSlot::Ready(cluster) => cluster.clone(),
            ClusterSlot::Broken(why) => panic!("{why}"),
        }
    }

    pub(super) fn version(&self) -> Arc<Version> {
        self.live().version().load_full().unwrap()
    }
}

pub(super) fn addresses(assignment: &Assignment) -> Vec<String> {
    let endpoints = assignment.localities.iter().flat_map(|l| l.endpoints.iter());
    endpoints.map(|e| e.address.to_string()).collect()
}

/// `+` wanted, `-` not wanted any more, `!` refused, `?` resolve, and the roots' states.
pub(super) fn words(delta: &Delta) -> String {
    let kind = |kind: &ResourceType| match *kind {
        LDS => "LDS",
        RDS => "RDS",
        CDS => "CDS",
        EDS => "EDS",
        SDS => "SDS",
    };
    let mut words = Vec::new();
    words.extend(delta.added.iter().map(|(k, n)| format!("+{} {n}", kind(k))));
    words.extend(delta.removed.iter().map(|(k, n)| format!("-{} {n}", kind(k))));
    words.sort();
    words.extend(delta.rejects.iter().map(|r| format!("!{} {}", r.resource, r.path)));
    words.extend(delta.resolve.iter().map(|r| format!("?{} {}", r.cluster, r.hosts.len())));
    words.extend(delta.resolved_no_more.iter().map(|cluster| format!("-DNS {cluster}")));
    words.extend(delta.roots.iter().map(|(_, root)| match &**root {
        Root::Waiting { why, .. } => why.to_string(),
        Root::Failed { why, .. } => format!("failed: {why}"),
        Root::Ready(snapshot) => format!("ready {}", snapshot.stamp().number),
    }));
    words.join(", ")
}
