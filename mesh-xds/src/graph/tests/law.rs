//! The law: applying changes one by one comes to where the whole walk is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ClusterMessage;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::google::protobuf;
use mesh_core::cluster::Address;
use mesh_core::snapshot::Root;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::kit::{CDS, EDS, LDS, RDS, gone, name, now, value};
use crate::fixtures::{
    aggregate, assignment, cluster, inline_cluster, listener, locality, manager, rds, routes_to,
    served, server_listener,
};
use crate::graph::resolve::{RootView, View, Wish, resolve, view};
use crate::graph::{Event, Graph, RootId, Update};
use crate::name::ResourceType;
use crate::parse::Registry;

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    AddRoot(u8),
    AddServer(u8),
    RemoveRoot(u8),
    Demand(u8, u8),
    Listener(u8, Option<u8>, Vec<u8>),
    ServerListener(u8, u8, Vec<Option<u8>>),
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
        2 => (0u8..3).prop_map(Step::AddServer),
        3 => (0u8..3, 0u8..4, prop::collection::vec(prop::option::weighted(0.7, 0u8..2), 1..4))
            .prop_map(|(l, port, chains)| Step::ServerListener(l, port, chains)),
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
        Step::AddRoot(_) | Step::AddServer(_) | Step::RemoveRoot(_) | Step::Demand(..) => {
            return None;
        }
        Step::ServerListener(l, port, chains) => {
            let name = format!("l{l}");
            // One of them is for another address.
            let place = format!("10.0.0.1:{}", 80 + u32::from(*port == 3));
            let chains = chains.iter().map(|r| r.map_or_else(served, |r| rds(&format!("r{r}"))));
            (LDS, name.clone(), value(&server_listener(&name, &place, chains)), false)
        }
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
                    let demands = BTreeSet::new();
                    wishes.insert(id, Wish { listener: name, server: None, demands });
                    delta
                }
                Step::AddServer(l) => {
                    let name = format!("l{l}");
                    let address = Address::Socket("10.0.0.1:80".parse().unwrap());
                    let (id, delta) =
                        graph.add_server(address.clone(), self::name(LDS, &name), now());
                    let demands = BTreeSet::new();
                    wishes.insert(id, Wish { listener: name, server: Some(address), demands });
                    delta
                }
                Step::RemoveRoot(n) => {
                    let Some(id) = pick(*n) else { continue };
                    wishes.remove(&id);
                    published.remove(&id);
                    graph.remove_root(id, now())
                }
                Step::Demand(n, c) => {
                    let Some(id) = pick(*n).filter(|id| wishes[id].server.is_none()) else {
                        continue;
                    };
                    let name = format!("c{c}");
                    let delta = graph.demand_cluster(id, &name, now()).unwrap();
                    wishes.get_mut(&id).unwrap().demands.insert(name);
                    delta
                }
                Step::Listener(..)
                | Step::ServerListener(..)
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
            prop_assert_eq!(&found.servers, &expect.servers, "after {:?}", step);
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
