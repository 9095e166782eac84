//! When a root is complete, and what it switches to.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_core::snapshot::ClusterSlot;

use super::kit::{CDS, EDS, Kit, LDS, RDS, addresses, name, now, words};
use crate::fixtures::{
    assignment, cluster, inline_cluster, listener, locality, manager, rds, route, routes, routes_to,
};
use crate::graph::{DemandError, Event};

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
