//! Clusters made of clusters.

use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use mesh_core::snapshot::ClusterSlot;

use super::kit::{CDS, EDS, Kit, addresses, gone, now};
use crate::fixtures::{aggregate, assignment, cluster, inline_cluster, locality};

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
