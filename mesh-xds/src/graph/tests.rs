use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ClusterMessage;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::google::protobuf;
use mesh_core::cluster::{Assignment, Cluster, Version};
use mesh_core::snapshot::{ClusterSlot, Root, Snapshot};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use prost::Message;

use super::resolve::{RootView, View, Wish, resolve, view};
use super::{Delta, DemandError, Event, Graph, RootId, State, Update};
use crate::fixtures::{
    aggregate, assignment, cluster, inline_cluster, listener, locality, manager, rds, route,
    routes, routes_to,
};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;

const LDS: ResourceType = ResourceType::Listener;
const RDS: ResourceType = ResourceType::RouteConfiguration;
const CDS: ResourceType = ResourceType::Cluster;
const EDS: ResourceType = ResourceType::ClusterLoadAssignment;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)
}

fn name(kind: ResourceType, text: &str) -> ResourceName {
    ResourceName::parse(kind, text).unwrap()
}

fn value(message: &impl Message) -> Event {
    Event::Value { raw: message.encode_to_vec().into(), version: "1".into() }
}

fn gone() -> Event {
    Event::DoesNotExist("does not exist".into())
}

/// A graph in words.
struct Kit {
    graph: Graph,
    roots: Vec<RootId>,
}

impl Kit {
    /// One root, `xds:///l`.
    fn new() -> Self {
        let mut kit = Self { graph: Graph::new(Registry::default()), roots: Vec::new() };
        assert_eq!(kit.root("l"), "+LDS l, waiting for listener l");
        kit
    }

    fn root(&mut self, listener: &str) -> String {
        let target = format!("xds:///{listener}").into();
        let (id, delta) = self.graph.add_root(target, name(LDS, listener), now());
        self.roots.push(id);
        words(&delta)
    }

    fn event(&mut self, kind: ResourceType, of: &str, event: Event, fail: bool) -> Delta {
        let events = vec![(name(kind, of), event)];
        self.graph.apply(Update { kind, fail_on_data_errors: fail, events }, now())
    }

    fn put(&mut self, kind: ResourceType, of: &str, message: &impl Message) -> String {
        words(&self.event(kind, of, value(message), false))
    }

    fn fail(&mut self, kind: ResourceType, of: &str, event: Event) -> String {
        words(&self.event(kind, of, event, false))
    }

    /// `xds:///l` with routes `r` to `clusters`.
    fn routed(clusters: &[&str]) -> Self {
        let mut kit = Self::new();
        kit.put(LDS, "l", &listener("l", &manager(rds("r"))));
        kit.put(RDS, "r", &routes_to("r", clusters));
        kit
    }

    /// The same with EDS cluster `c` that has endpoint `10.0.0.1:80`.
    fn ready() -> Self {
        let mut kit = Self::routed(&["c"]);
        kit.put(CDS, "c", &cluster("c", "e"));
        kit.put(EDS, "e", &assignment("e", vec![locality("z", 0, &["10.0.0.1:80"])]));
        kit
    }

    fn state(&self) -> Arc<Root> {
        self.graph.status().roots[0].state.clone()
    }

    fn snapshot(&self) -> Snapshot {
        self.state().snapshot().unwrap().clone()
    }

    fn why(&self) -> String {
        match &*self.state() {
            Root::Waiting { why, .. } | Root::Failed { why, .. } => why.to_string(),
            Root::Ready(_) => "ready".into(),
        }
    }

    fn live(&self) -> Arc<Cluster> {
        match &self.snapshot().clusters()[0] {
            ClusterSlot::Ready(cluster) => cluster.clone(),
            ClusterSlot::Broken(why) => panic!("{why}"),
        }
    }

    fn version(&self) -> Arc<Version> {
        self.live().version().load_full().unwrap()
    }
}

fn addresses(assignment: &Assignment) -> Vec<String> {
    let endpoints = assignment.localities.iter().flat_map(|l| l.endpoints.iter());
    endpoints.map(|e| e.address.to_string()).collect()
}

/// `+` wanted, `-` not wanted any more, `!` refused, `?` resolve, and the roots' states.
fn words(delta: &Delta) -> String {
    let kind = |kind: &ResourceType| match *kind {
        LDS => "LDS",
        RDS => "RDS",
        CDS => "CDS",
        EDS => "EDS",
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

#[test]
fn a_root_is_ready_when_everything_has_arrived() {
    let mut kit = Kit::new();
    let listener = listener("l", &manager(rds("r")));
    assert_eq!(kit.put(LDS, "l", &listener), "+RDS r, waiting for routes r");
    assert_eq!(
        kit.put(RDS, "r", &routes_to("r", &["a", "b"])),
        "+CDS a, +CDS b, waiting for cluster a and 1 more"
    );
    assert_eq!(kit.put(CDS, "a", &cluster("a", "")), "+EDS a");
    assert_eq!(kit.put(CDS, "b", &cluster("b", "e")), "+EDS e");
    assert_eq!(kit.put(EDS, "a", &assignment("a", vec![])), "");
    assert_eq!(kit.put(EDS, "e", &assignment("e", vec![])), "ready 1");
    assert_eq!(kit.snapshot().stamp().version.as_ref(), "1");
    // The very same bytes are no news.
    assert_eq!(kit.put(LDS, "l", &listener), "");
    assert_eq!(kit.put(EDS, "other", &assignment("other", vec![])), "");
}

#[test]
fn endpoints_reach_the_live_cluster_and_no_root() {
    let mut kit = Kit::ready();
    let live = kit.live();
    let more = locality("z", 0, &["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(kit.put(EDS, "e", &assignment("e", vec![more])), "");
    let version = live.version().load_full().unwrap();
    assert_eq!(addresses(&version.assignment), ["10.0.0.1:80", "10.0.0.2:80"]);
    let (old, new) = (kit.version(), version);
    assert!(Arc::ptr_eq(&old, &new));
}

#[test]
fn a_root_switches_as_a_whole() {
    let mut kit = Kit::ready();
    assert_eq!(kit.put(RDS, "r", &routes_to("r", &["d"])), "+CDS d");
    assert_eq!(kit.graph.status().roots[0].waiting, [name(CDS, "d")]);
    assert_eq!(kit.live().name().as_ref(), "c");
    assert_eq!(kit.put(CDS, "d", &cluster("d", "")), "+EDS d");
    assert_eq!(kit.put(EDS, "d", &assignment("d", vec![])), "-CDS c, -EDS e, ready 2");
    assert_eq!(kit.live().name().as_ref(), "d");
}

#[test]
fn a_candidate_that_is_overtaken_is_forgotten() {
    let mut kit = Kit::ready();
    assert_eq!(kit.put(RDS, "r", &routes_to("r", &["c", "x"])), "+CDS x");
    assert_eq!(kit.put(RDS, "r", &routes_to("r", &["c"])), "-CDS x, ready 2");
}

#[test]
fn bad_news_of_what_is_in_use_keeps_it() {
    let mut kit = Kit::ready();
    for (kind, of) in [(LDS, "l"), (RDS, "r"), (CDS, "c"), (EDS, "e")] {
        assert_eq!(kit.fail(kind, of, gone()), "", "{of}");
        let raw = Event::Value { raw: vec![0xff].into(), version: "2".into() };
        assert_eq!(kit.fail(kind, of, raw), format!("!{of} "));
        let status = kit.graph.status();
        let status = status.resources.iter().find(|r| r.kind == kind).unwrap();
        assert_eq!((status.state, &*status.version), (State::Nacked, "1"));
        assert_eq!(status.error.as_ref().unwrap().version.as_deref(), Some("2"));
        assert!(!status.raw.is_empty());
    }
    assert_eq!(kit.why(), "ready");
    assert!(kit.version().note.as_deref().unwrap().starts_with("refused: "));
    assert_eq!(addresses(&kit.version().assignment), ["10.0.0.1:80"]);
    // Good news clears the note, also if the value is the old one.
    kit.put(CDS, "c", &cluster("c", "e"));
    kit.put(EDS, "e", &assignment("e", vec![locality("z", 0, &["10.0.0.1:80"])]));
    assert_eq!(kit.version().note, None);
}

#[test]
fn fail_on_data_errors_takes_it_away() {
    let mut kit = Kit::ready();
    let why = |delta: Delta| words(&delta);
    assert_eq!(why(kit.event(EDS, "e", gone(), true)), "");
    assert!(kit.version().assignment.is_empty());
    assert_eq!(why(kit.event(CDS, "c", gone(), true)), "-EDS e, ready 2");
    assert!(matches!(
        &kit.snapshot().clusters()[0],
        ClusterSlot::Broken(why) if &**why == "does not exist"
    ));
    assert_eq!(why(kit.event(RDS, "r", gone(), true)), "-CDS c, failed: routes r: does not exist");
    assert_eq!(
        why(kit.event(LDS, "l", gone(), true)),
        "-RDS r, failed: listener l: does not exist"
    );
}

#[test]
fn what_was_never_there_fails_its_root_or_cluster_only() {
    let mut kit = Kit::new();
    let timeout = || Event::Timeout("no answer within 15 s".into());
    assert_eq!(kit.fail(LDS, "l", timeout()), "failed: listener l: no answer within 15 s");
    let listener = listener("l", &manager(rds("r")));
    assert_eq!(kit.put(LDS, "l", &listener), "+RDS r, waiting for routes r");
    assert_eq!(kit.fail(RDS, "r", gone()), "failed: routes r: does not exist");
    kit.put(RDS, "r", &routes_to("r", &["a", "b"]));
    assert_eq!(kit.fail(CDS, "a", timeout()), "");
    assert_eq!(kit.graph.status().roots[0].waiting, [name(CDS, "b")]);
    kit.put(CDS, "b", &cluster("b", ""));
    assert_eq!(kit.fail(EDS, "b", gone()), "ready 1");
    let snapshot = kit.snapshot();
    let [ClusterSlot::Broken(why), ClusterSlot::Ready(b)] = snapshot.clusters() else {
        panic!("{snapshot:?}")
    };
    assert_eq!(&**why, "no answer within 15 s");
    let version = b.version().load_full().unwrap();
    assert_eq!(version.note.as_deref(), Some("does not exist"));
    // It comes after all.
    assert_eq!(kit.put(CDS, "a", &cluster("a", "b")), "ready 2");
}

#[test]
fn a_new_service_name_keeps_the_old_endpoints_until_it_arrives() {
    let mut kit = Kit::ready();
    let before = kit.version();
    assert_eq!(kit.put(CDS, "c", &cluster("c", "f")), "+EDS f, -EDS e");
    assert!(Arc::ptr_eq(&before, &kit.version()));
    let same = locality("y", 0, &["10.0.0.1:80"]);
    assert_eq!(kit.put(EDS, "f", &assignment("f", vec![same])), "");
    let (old, after) = (&before.assignment.localities[0], kit.version());
    let new = &after.assignment.localities[0];
    assert_eq!(&*new.name.zone, "y");
    assert!(Arc::ptr_eq(&old.endpoints[0].state, &new.endpoints[0].state));
}

#[test]
fn clusters_of_one_service_do_not_share_endpoint_state() {
    let mut kit = Kit::ready();
    kit.put(RDS, "r", &routes_to("r", &["c", "d"]));
    assert_eq!(kit.put(CDS, "d", &cluster("d", "e")), "ready 2");
    let state = |at: usize| match &kit.snapshot().clusters()[at] {
        ClusterSlot::Ready(cluster) => {
            let version = cluster.version().load_full().unwrap();
            version.assignment.localities[0].endpoints[0].state.clone()
        }
        ClusterSlot::Broken(why) => panic!("{why}"),
    };
    assert!(!Arc::ptr_eq(&state(0), &state(1)));
}

#[test]
fn roots_share_what_they_share() {
    let mut kit = Kit::ready();
    assert_eq!(kit.root("m"), "+LDS m, waiting for listener m");
    let delta = kit.put(LDS, "m", &listener("m", &manager(rds("r"))));
    assert_eq!(delta, "ready 1");
    let status = kit.graph.status();
    let cluster = |at: usize| match &status.roots[at].state.snapshot().unwrap().clusters()[0] {
        ClusterSlot::Ready(cluster) => cluster.clone(),
        ClusterSlot::Broken(why) => panic!("{why}"),
    };
    assert!(Arc::ptr_eq(&cluster(0), &cluster(1)));
    let first = kit.roots[0];
    assert_eq!(words(&kit.graph.remove_root(first, now())), "-LDS l");
    let second = kit.roots[1];
    let all = "-CDS c, -EDS e, -LDS m, -RDS r";
    assert_eq!(words(&kit.graph.remove_root(second, now())), all);
    assert!(kit.graph.status().resources.is_empty());
}

#[test]
fn a_removed_cluster_is_dropped_with_its_last_call() {
    let mut kit = Kit::ready();
    let weak = Arc::downgrade(&kit.live());
    let call = kit.live();
    let root = kit.roots[0];
    kit.graph.remove_root(root, now());
    assert_eq!(weak.strong_count(), 1);
    drop(call);
    assert!(weak.upgrade().is_none());
}

#[test]
fn inline_routes_need_no_rds() {
    let mut kit = Kit::new();
    let inline = manager(envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier::RouteConfig(routes_to("x", &["c"])));
    assert_eq!(kit.put(LDS, "l", &listener("l", &inline)), "+CDS c, waiting for cluster c");
    let fixed = inline_cluster("c", DiscoveryType::Static, vec![locality("", 0, &["10.0.0.1:1"])]);
    assert_eq!(kit.put(CDS, "c", &fixed), "ready 1");
    assert_eq!(addresses(&kit.version().assignment), ["10.0.0.1:1"]);
}

#[test]
fn demanded_clusters_do_not_hold_a_root_up() {
    let mut kit = Kit::new();
    kit.put(LDS, "l", &listener("l", &manager(rds("r"))));
    let named = route("/", ClusterSpecifier::ClusterHeader("x".into()));
    assert_eq!(kit.put(RDS, "r", &routes("r", vec![named])), "ready 1");
    let root = kit.roots[0];
    let delta = kit.graph.demand_cluster(root, "c", now()).unwrap();
    assert_eq!(words(&delta), "+CDS c, ready 2");
    assert_eq!(words(&kit.graph.demand_cluster(root, "c", now()).unwrap()), "");
    assert_eq!(kit.put(CDS, "c", &inline_cluster("c", DiscoveryType::Static, vec![])), "ready 3");
    let (parts, ()) =
        http::Request::get("http://h/").header("x", "c").body(()).unwrap().into_parts();
    let head = mesh_core::request::RequestHead::new(&parts, "h");
    let plan = kit.snapshot().plan(&head, &mut mesh_core::rng::XorShift::new(1)).unwrap();
    assert_eq!(&**plan.cluster.name(), "c");
    // Whoever is not waited for makes room: first what cannot be used, then what is known longest.
    for n in 1..1024 {
        kit.graph.demand_cluster(root, &format!("d{n}"), now()).unwrap();
    }
    kit.fail(CDS, "d7", Event::DoesNotExist("gone".into()));
    let delta = kit.graph.demand_cluster(root, "d1024", now()).unwrap();
    assert_eq!(words(&delta), "+CDS d1024, -CDS d7, ready 1028");
    let delta = kit.graph.demand_cluster(root, "d1025", now()).unwrap();
    assert_eq!(words(&delta), "+CDS d1025, -CDS c, ready 1029");
    let refused = kit.graph.demand_cluster(root, "e", now()).unwrap_err();
    assert_eq!(refused, DemandError::TooMany);
    assert!(matches!(kit.graph.demand_cluster(root, "", now()), Err(DemandError::Name(_))));
    kit.graph.remove_root(root, now());
    let gone = kit.graph.demand_cluster(root, "c", now());
    assert_eq!(gone.unwrap_err(), DemandError::UnknownRoot);
    assert!(kit.graph.status().resources.is_empty());
}

#[test]
fn an_aggregate_needs_all_its_parts() {
    let mut kit = Kit::routed(&["a"]);
    assert_eq!(kit.put(CDS, "a", &aggregate("a", &["b", "c"])), "+CDS b, +CDS c");
    // A cycle and a cluster that stands twice are no harm.
    assert_eq!(kit.put(CDS, "b", &aggregate("b", &["a", "d", "c"])), "+CDS d");
    assert_eq!(kit.put(CDS, "c", &cluster("c", "")), "+EDS c");
    assert_eq!(kit.put(EDS, "c", &assignment("c", vec![locality("", 0, &["10.0.0.3:1"])])), "");
    let two = vec![locality("", 0, &["10.0.0.4:1"]), locality("", 1, &["10.0.0.5:1"])];
    assert_eq!(kit.put(CDS, "d", &inline_cluster("d", DiscoveryType::Static, two)), "ready 1");
    let version = kit.version();
    assert_eq!(addresses(&version.assignment), ["10.0.0.4:1", "10.0.0.5:1", "10.0.0.3:1"]);
    let leaf = |priority| version.assignment.leaf(priority).unwrap().cluster.name().clone();
    assert_eq!((&*leaf(1), &*leaf(2)), ("d", "c"));
    // Endpoints of a leaf reach the aggregate; a leaf that is gone is left out.
    kit.put(EDS, "c", &assignment("c", vec![]));
    assert_eq!(addresses(&kit.version().assignment), ["10.0.0.4:1", "10.0.0.5:1"]);
    kit.event(CDS, "d", gone(), true);
    assert!(addresses(&kit.version().assignment).is_empty());
    let root = kit.roots[0];
    kit.graph.remove_root(root, now());
    assert!(kit.graph.status().resources.is_empty());
}

#[test]
fn aggregates_that_hold_each_other_come_to_rest() {
    let mut kit = Kit::routed(&["a", "b"]);
    kit.put(CDS, "a", &aggregate("a", &["b"]));
    assert_eq!(kit.put(CDS, "b", &aggregate("b", &["a"])), "ready 1");
    let snapshot = kit.snapshot();
    for slot in snapshot.clusters() {
        assert!(matches!(slot, ClusterSlot::Broken(why) if why.ends_with("no clusters below it")));
    }
    assert_eq!(kit.put(CDS, "b", &aggregate("b", &["a", "c"])), "+CDS c");
    assert_eq!(kit.put(CDS, "c", &inline_cluster("c", DiscoveryType::Static, vec![])), "ready 2");
}

#[test]
fn an_aggregate_too_deep_is_broken() {
    let mut kit = Kit::routed(&["a0"]);
    for n in 0..15 {
        let child = format!("a{}", n + 1);
        kit.put(CDS, &format!("a{n}"), &aggregate(&format!("a{n}"), &[&child]));
    }
    let leaf = inline_cluster("a15", DiscoveryType::Static, vec![]);
    assert_eq!(kit.put(CDS, "a15", &leaf), "ready 1");
    let mut deep = kit;
    deep.put(CDS, "a15", &aggregate("a15", &["a16"]));
    assert!(matches!(
        &deep.snapshot().clusters()[0],
        ClusterSlot::Broken(why) if why.contains("more than 15 deep")
    ));
}

#[test]
fn names_are_resolved_outside() {
    let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
    let mut kit = Kit::routed(&["c"]);
    let hosts = vec![locality("", 0, &["one:80", "two:80"]), locality("", 1, &["three:81"])];
    let strict = inline_cluster("c", DiscoveryType::StrictDns, hosts);
    assert_eq!(kit.put(CDS, "c", &strict), "?c 3");
    let mut answer = |host, result: Result<Vec<IpAddr>, Arc<str>>| {
        words(&kit.graph.handle_resolved(&name(CDS, "c"), host, result, now()))
    };
    assert_eq!(answer(0, Ok(vec![ip(1), ip(2)])), "");
    assert_eq!(answer(2, Err("no such name".into())), "");
    assert_eq!(answer(1, Ok(vec![ip(2), ip(3)])), "ready 1");
    // An error keeps what there was; an unknown index is ignored.
    assert_eq!(answer(0, Err("timeout".into())), "");
    assert_eq!(answer(7, Ok(vec![])), "");
    let version = kit.version();
    assert_eq!(addresses(&version.assignment), ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
    assert_eq!(version.note.as_deref(), Some("timeout"));
    let logical = vec![locality("", 0, &["one:80"])];
    let logical = inline_cluster("c", DiscoveryType::LogicalDns, logical);
    assert_eq!(kit.put(CDS, "c", &logical), "?c 1");
    assert!(Arc::ptr_eq(&version, &kit.version()));
    kit.graph.handle_resolved(&name(CDS, "c"), 0, Ok(vec![ip(8), ip(9)]), now());
    let version = kit.version();
    let endpoint = &version.assignment.localities[0].endpoints[0];
    let all: Vec<_> = endpoint.addresses().map(ToString::to_string).collect();
    assert_eq!(all, ["10.0.0.8:80", "10.0.0.9:80"]);
    let root = kit.roots[0];
    let all = "-CDS c, -LDS l, -RDS r, -DNS c";
    assert_eq!(words(&kit.graph.remove_root(root, now())), all);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    AddRoot(u8),
    RemoveRoot(u8),
    Demand(u8, u8),
    Listener(u8, Option<u8>, Vec<u8>),
    Routes(u8, Vec<u8>),
    Eds(u8, u8, u8),
    Static(u8, u8),
    Aggregate(u8, u8, Vec<u8>),
    Endpoints(u8, Vec<u8>),
    Bad(u8, u8, u8, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let list = || prop::collection::vec(0u8..5, 0..4);
    prop_oneof![
        2 => (0u8..3).prop_map(Step::AddRoot),
        1 => any::<u8>().prop_map(Step::RemoveRoot),
        1 => (any::<u8>(), 0u8..5).prop_map(|(r, c)| Step::Demand(r, c)),
        3 => (0u8..3, prop::option::weighted(0.7, 0u8..2), list())
            .prop_map(|(l, r, c)| Step::Listener(l, r, c)),
        4 => (0u8..2, list()).prop_map(|(r, c)| Step::Routes(r, c)),
        6 => (0u8..5, 0u8..4, 1u8..3).prop_map(|(c, e, t)| Step::Eds(c, e, t)),
        2 => (0u8..5, 1u8..3).prop_map(|(c, t)| Step::Static(c, t)),
        3 => (0u8..5, 1u8..3, prop::collection::vec(0u8..5, 1..4))
            .prop_map(|(c, t, of)| Step::Aggregate(c, t, of)),
        6 => (0u8..4, prop::collection::vec(1u8..9, 0..3)).prop_map(|(e, a)| Step::Endpoints(e, a)),
        4 => (0u8..4, 0u8..5, 0u8..4, any::<bool>())
            .prop_map(|(kind, n, how, fail)| Step::Bad(kind, n, how, fail)),
    ]
}

fn names(prefix: &str, numbers: &[u8]) -> Vec<String> {
    numbers.iter().map(|n| format!("{prefix}{n}")).collect()
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// `message` with a connect timeout that tells it from others.
fn timed(message: ClusterMessage, seconds: u8) -> ClusterMessage {
    let timeout = protobuf::Duration { seconds: seconds.into(), nanos: 0 };
    ClusterMessage { connect_timeout: Some(timeout), ..message }
}

fn event(step: &Step) -> Option<(ResourceType, String, Event, bool)> {
    let found = match step {
        Step::AddRoot(_) | Step::RemoveRoot(_) | Step::Demand(..) => return None,
        Step::Listener(l, source, clusters) => {
            use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
            let clusters = names("c", clusters);
            let source = match source {
                Some(r) => rds(&format!("r{r}")),
                None => RouteSpecifier::RouteConfig(routes_to("", &texts(&clusters))),
            };
            let name = format!("l{l}");
            (LDS, name.clone(), value(&listener(&name, &manager(source))), false)
        }
        Step::Routes(r, clusters) => {
            let (name, clusters) = (format!("r{r}"), names("c", clusters));
            (RDS, name.clone(), value(&routes_to(&name, &texts(&clusters))), false)
        }
        Step::Eds(c, e, time) => {
            let name = format!("c{c}");
            let message = timed(cluster(&name, &format!("e{e}")), *time);
            (CDS, name, value(&message), false)
        }
        Step::Static(c, time) => {
            let name = format!("c{c}");
            let list = vec![locality("", 0, &["10.9.0.1:1"])];
            let message = timed(inline_cluster(&name, DiscoveryType::Static, list), *time);
            (CDS, name, value(&message), false)
        }
        Step::Aggregate(c, time, of) => {
            let (name, of) = (format!("c{c}"), names("c", of));
            (CDS, name.clone(), value(&timed(aggregate(&name, &texts(&of)), *time)), false)
        }
        Step::Endpoints(e, hosts) => {
            let hosts: BTreeSet<_> = hosts.iter().map(|h| format!("10.0.0.{h}:80")).collect();
            let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
            let name = format!("e{e}");
            (EDS, name.clone(), value(&assignment(&name, vec![locality("", 0, &hosts)])), false)
        }
        Step::Bad(kind, n, how, fail) => {
            let (kind, prefix) =
                [(LDS, "l"), (RDS, "r"), (CDS, "c"), (EDS, "e")][usize::from(*kind)];
            let event = match how {
                0 => Event::Value { raw: vec![0xff].into(), version: "bad".into() },
                1 => gone(),
                2 => Event::Timeout("timeout".into()),
                _ => Event::Unreachable("unreachable".into()),
            };
            (kind, format!("{prefix}{n}"), event, *fail)
        }
    };
    Some(found)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(74),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The law: applying changes one by one comes to where the whole walk is.
    #[test]
    fn apply_comes_to_where_resolve_is(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut graph = Graph::new(Registry::default());
        let mut wishes = BTreeMap::<RootId, Wish>::new();
        let mut before = View::default();
        let mut wanted = BTreeSet::new();
        let mut published = BTreeMap::<RootId, Arc<Root>>::new();
        for step in steps {
            let pick = |n: u8| wishes.keys().nth(usize::from(n) % wishes.len().max(1)).copied();
            let delta = match &step {
                Step::AddRoot(l) => {
                    let name = format!("l{l}");
                    let (id, delta) = graph.add_root("t".into(), self::name(LDS, &name), now());
                    wishes.insert(id, Wish { listener: name, demands: BTreeSet::new() });
                    delta
                }
                Step::RemoveRoot(n) => {
                    let Some(id) = pick(*n) else { continue };
                    wishes.remove(&id);
                    published.remove(&id);
                    graph.remove_root(id, now())
                }
                Step::Demand(n, c) => {
                    let Some(id) = pick(*n) else { continue };
                    let name = format!("c{c}");
                    let delta = graph.demand_cluster(id, &name, now()).unwrap();
                    wishes.get_mut(&id).unwrap().demands.insert(name);
                    delta
                }
                Step::Listener(..)
                | Step::Routes(..)
                | Step::Eds(..)
                | Step::Static(..)
                | Step::Aggregate(..)
                | Step::Endpoints(..)
                | Step::Bad(..) => {
                    let (kind, name, event, fail) = event(&step).unwrap();
                    let events = vec![(self::name(kind, &name), event)];
                    graph.apply(Update { kind, fail_on_data_errors: fail, events }, now())
                }
            };
            for (kind, name) in &delta.removed {
                prop_assert!(wanted.remove(&(*kind, name.to_string())), "{:?} -{}", kind, name);
            }
            for (kind, name) in &delta.added {
                prop_assert!(wanted.insert((*kind, name.to_string())), "{:?} +{}", kind, name);
            }
            published.extend(delta.roots.iter().cloned());
            let expect = resolve(&graph, &wishes, &before);
            let found = view(&graph);
            prop_assert_eq!(&found.wanted, &expect.wanted, "after {:?}", step);
            prop_assert_eq!(&found.clusters, &expect.clusters, "after {:?}", step);
            prop_assert_eq!(&found.roots, &expect.roots, "after {:?}", step);
            prop_assert_eq!(&found.wanted, &wanted);
            for (id, root) in &found.roots {
                let last = published.get(id).map(|root| matches!(**root, Root::Ready(_)));
                prop_assert_eq!(last.unwrap_or(false), matches!(root, RootView::Ready { .. }));
            }
            before = expect;
        }
        for id in wishes.into_keys() {
            graph.remove_root(id, now());
        }
        prop_assert_eq!(view(&graph), View::default());
    }
}
