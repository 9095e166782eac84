//! Hostile bytes: whatever a management server sends, parsing it ends in a model or a [`Reject`].
//!
//! [`Reject`]: super::Reject

use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use prost::Message;

use super::{Registry, cluster, endpoints, listener, route};
use crate::fixtures::{
    self, assignment, inline_cluster, locality, manager, rds, routes, routes_to,
};

/// One of each kind of resource, valid.
fn valid() -> Vec<Vec<u8>> {
    let header = fixtures::route("/", ClusterSpecifier::ClusterHeader("x".into()));
    let inline = RouteSpecifier::RouteConfig(routes_to("r", &["a", "b"]));
    let endpoints =
        || vec![locality("a", 0, &["10.0.0.1:1", "10.0.0.2:2"]), locality("b", 1, &["10.0.0.3:3"])];
    vec![
        fixtures::listener("l", &manager(rds("r"))).encode_to_vec(),
        fixtures::listener("l", &manager(inline)).encode_to_vec(),
        routes_to("r", &["a", "b"]).encode_to_vec(),
        routes("r", vec![header]).encode_to_vec(),
        fixtures::cluster("c", "e").encode_to_vec(),
        fixtures::aggregate("c", &["a", "b"]).encode_to_vec(),
        inline_cluster("c", DiscoveryType::StrictDns, endpoints()).encode_to_vec(),
        assignment("e", endpoints()).encode_to_vec(),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
    /// Puts in bytes from elsewhere in the same message.
    Repeat(prop::sample::Index, u8),
}

fn change() -> impl Strategy<Value = (prop::sample::Index, Change)> {
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Set),
        any::<u8>().prop_map(Change::Insert),
        Just(Change::Remove),
        Just(Change::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, n)| Change::Repeat(at, n)),
    ];
    (any::<prop::sample::Index>(), change)
}

fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, Change)]) -> Vec<u8> {
    for (at, change) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match change {
            Change::Set(byte) => bytes[at] = *byte,
            Change::Insert(byte) => bytes.insert(at, *byte),
            Change::Remove => drop(bytes.remove(at)),
            Change::Cut => bytes.truncate(at),
            Change::Repeat(from, count) => {
                let from = from.index(bytes.len());
                let to = bytes.len().min(from + usize::from(*count));
                let part = bytes[from..to].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn damaged_resources_are_parsed_without_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let valid = valid();
        let bytes = changed(which.get(&valid).clone(), &changes);
        let registry = Registry::default();
        let _ = listener::parse(&bytes, &registry);
        let _ = route::parse(&bytes, &registry);
        let _ = cluster::parse(&bytes, &registry);
        let good = valid.last().unwrap();
        let old = endpoints::update(None, good).unwrap();
        if let Ok(new) = endpoints::update(Some((good, &old)), &bytes) {
            // What is shared with the old one does not decide what the new one is.
            let alone = endpoints::update(None, &bytes).unwrap();
            assert_eq!(texts(&new), texts(&alone));
        }
    }
}

fn texts(assignment: &mesh_core::cluster::Assignment) -> Vec<String> {
    let each = |locality: &mesh_core::cluster::Locality| {
        let endpoints = locality.endpoints.iter();
        let endpoints = endpoints.map(|e| format!("{} {} {:?}", e.address, e.weight, e.health));
        let all = endpoints.collect::<Vec<_>>().join(",");
        format!("{} {} {:?} {all}", locality.priority, locality.weight, locality.name)
    };
    assignment.localities.iter().map(each).collect()
}
