//! Endpoints on their way to a cluster, by EDS and by DNS.

use std::net::IpAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use mesh_core::snapshot::ClusterSlot;

use super::kit::{CDS, EDS, Kit, RDS, addresses, name, now, words};
use crate::fixtures::{assignment, cluster, inline_cluster, locality, routes_to};

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
