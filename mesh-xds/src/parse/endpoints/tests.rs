use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as eds;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use mesh_core::cluster::{Assignment, Endpoint, Health};
use proptest::prelude::*;
use prost::Message;

use super::{Reject, update};
use crate::fixtures::{address, assignment, endpoint, locality, u32v};

fn parse(localities: Vec<eds::LocalityLbEndpoints>) -> Result<Assignment, Reject> {
    update(None, &assignment("c", localities).encode_to_vec())
}

fn path(localities: Vec<eds::LocalityLbEndpoints>) -> String {
    parse(localities).unwrap_err().path.into()
}

fn inline(endpoint: &mut eds::LbEndpoint) -> &mut eds::Endpoint {
    match endpoint.host_identifier.as_mut().unwrap() {
        eds::lb_endpoint::HostIdentifier::Endpoint(endpoint) => endpoint,
        eds::lb_endpoint::HostIdentifier::EndpointName(_) => panic!("made inline"),
    }
}

/// One locality with one endpoint, changed by `change`.
fn changed(change: impl FnOnce(&mut eds::LbEndpoint)) -> Vec<eds::LocalityLbEndpoints> {
    let mut locality = locality("a", 0, &["10.0.0.1:80"]);
    change(&mut locality.lb_endpoints[0]);
    vec![locality]
}

fn endpoints(assignment: &Assignment) -> Vec<&Arc<Endpoint>> {
    assignment.localities.iter().flat_map(|l| l.endpoints.iter()).collect()
}

fn addresses(assignment: &Assignment) -> Vec<String> {
    endpoints(assignment).iter().map(|e| e.address.to_string()).collect()
}

#[test]
fn everything_we_use_is_read() {
    let mut first = locality("a", 1, &["10.0.0.1:80", "[::1]:8080"]);
    first.lb_endpoints[1] = eds::LbEndpoint {
        health_status: core::HealthStatus::Draining.into(),
        load_balancing_weight: u32v(7),
        ..endpoint("::1:8080")
    };
    inline(&mut first.lb_endpoints[1]).hostname = "h".into();
    inline(&mut first.lb_endpoints[1]).additional_addresses =
        vec![eds::endpoint::AdditionalAddress { address: Some(address("10.0.0.9:1")) }];
    let mut message = assignment("c", vec![first, locality("b", 0, &["10.0.0.2:80"])]);
    let drop = |numerator, denominator| eds::cluster_load_assignment::policy::DropOverload {
        category: "c".into(),
        drop_percentage: Some(FractionalPercent { numerator, denominator }),
    };
    message.policy = Some(eds::cluster_load_assignment::Policy {
        drop_overloads: vec![drop(2, 0), drop(25, 1), drop(7, 2), drop(200, 0)],
        ..Default::default()
    });
    let parsed = update(None, &message.encode_to_vec()).unwrap();
    assert_eq!(addresses(&parsed), ["10.0.0.2:80", "10.0.0.1:80", "[::1]:8080"]);
    let drops: Vec<u32> = parsed.drops.iter().map(|d| d.per_million).collect();
    assert_eq!(drops, [20_000, 2_500, 7, 1_000_000]);
    let last = &parsed.localities[1].endpoints[1];
    assert_eq!(
        (last.weight, last.health, last.hostname.as_deref()),
        (7, Health::Draining, Some("h"))
    );
    assert_eq!(last.more.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.9:1"]);
    assert_eq!((&*parsed.localities[0].name.zone, parsed.localities[0].priority), ("b", 0));
}

#[test]
fn localities_without_weight_are_left_out() {
    let mut unset = locality("a", 0, &["10.0.0.1:80"]);
    unset.load_balancing_weight = None;
    let mut zero = locality("b", 7, &["10.0.0.2:80"]);
    zero.load_balancing_weight = u32v(0);
    let parsed = parse(vec![unset, zero, locality("c", 0, &["10.0.0.3:80"])]).unwrap();
    assert_eq!(addresses(&parsed), ["10.0.0.3:80"]);
    assert!(parse(Vec::new()).unwrap().is_empty());
}

#[test]
fn broken_localities_are_rejected() {
    let one = |change: fn(&mut eds::LocalityLbEndpoints)| {
        let mut locality = locality("a", 0, &["10.0.0.1:80"]);
        change(&mut locality);
        path(vec![locality])
    };
    assert_eq!(one(|l| l.locality = None), "endpoints[0].locality");
    assert_eq!(one(|l| l.priority = 1), "endpoints[0].priority");
    assert_eq!(
        one(|l| l.lb_config =
            Some(eds::locality_lb_endpoints::LbConfig::LedsClusterLocalityConfig(
                eds::LedsClusterLocalityConfig::default()
            ))),
        "endpoints[0].leds_cluster_locality_config"
    );
    let (a, b) = (locality("a", 0, &["10.0.0.1:80"]), locality("b", 2, &["10.0.0.2:80"]));
    assert_eq!(path(vec![b, a.clone()]), "endpoints[0].priority");
    assert_eq!(path(vec![a.clone(), locality("a", 0, &[])]), "endpoints[1].locality");
    let mut heavy = locality("b", 0, &[]);
    heavy.load_balancing_weight = u32v(u32::MAX);
    assert_eq!(path(vec![a, heavy]), "endpoints[1].load_balancing_weight");
}

#[test]
fn broken_endpoints_are_rejected() {
    let one = |change: fn(&mut eds::LbEndpoint)| {
        let path = path(changed(change));
        path.strip_prefix("endpoints[0].lb_endpoints[0].").unwrap().to_owned()
    };
    let socket = |change: fn(&mut core::SocketAddress)| {
        let path = path(changed(|e| {
            match inline(e).address.as_mut().unwrap().address.as_mut().unwrap() {
                core::address::Address::SocketAddress(socket) => change(socket),
                core::address::Address::Pipe(_)
                | core::address::Address::EnvoyInternalAddress(_) => panic!("made as socket"),
            }
        }));
        path.strip_prefix("endpoints[0].lb_endpoints[0].endpoint.").unwrap().to_owned()
    };
    assert_eq!(one(|e| e.load_balancing_weight = u32v(0)), "load_balancing_weight");
    assert_eq!(one(|e| e.host_identifier = None), "endpoint");
    assert_eq!(one(|e| inline(e).address = None), "endpoint.address");
    assert_eq!(
        one(|e| inline(e).additional_addresses = vec![Default::default()]),
        "endpoint.additional_addresses[0].address"
    );
    let pipe = |path: &str| core::Address {
        address: Some(core::address::Address::Pipe(core::Pipe { path: path.into(), mode: 0 })),
    };
    assert_eq!(
        path(changed(|e| inline(e).address = Some(pipe("")))),
        "endpoints[0].lb_endpoints[0].endpoint.address.pipe.path"
    );
    let unix = parse(changed(|e| inline(e).address = Some(pipe("/s")))).unwrap();
    assert_eq!(addresses(&unix), ["unix:/s"]);
    assert_eq!(socket(|s| s.protocol = 1), "address.socket_address.protocol");
    assert_eq!(socket(|s| s.address = "name".into()), "address.socket_address.address");
    assert_eq!(socket(|s| s.port_specifier = None), "address.socket_address.port_value");
    assert_eq!(
        socket(|s| s.port_specifier = Some(core::socket_address::PortSpecifier::PortValue(65_536))),
        "address.socket_address.port_value"
    );
    let heavy =
        |address| eds::LbEndpoint { load_balancing_weight: u32v(u32::MAX), ..endpoint(address) };
    let mut sum = locality("a", 0, &[]);
    sum.lb_endpoints = vec![heavy("10.0.0.1:80"), heavy("10.0.0.2:80")];
    assert_eq!(path(vec![sum]), "endpoints[0].lb_endpoints");
}

#[test]
fn broken_drops_are_rejected() {
    let parse = |category: &str, denominator| {
        let mut message = assignment("c", Vec::new());
        message.policy = Some(eds::cluster_load_assignment::Policy {
            drop_overloads: vec![eds::cluster_load_assignment::policy::DropOverload {
                category: category.into(),
                drop_percentage: Some(FractionalPercent { numerator: 1, denominator }),
            }],
            ..Default::default()
        });
        String::from(update(None, &message.encode_to_vec()).unwrap_err().path)
    };
    assert_eq!(parse("", 0), "policy.drop_overloads[0].category");
    assert_eq!(parse("c", 3), "policy.drop_overloads[0].drop_percentage.denominator");
}

#[test]
fn an_address_that_stands_twice_is_rejected_cold_and_warm() {
    let one = || vec![locality("a", 0, &["10.0.0.1:80", "10.0.0.2:80"])];
    let first = assignment("c", one()).encode_to_vec();
    let old = update(None, &first).unwrap();
    for more in [
        vec![locality("b", 0, &["10.0.0.3:80", "10.0.0.1:80"])],
        vec![locality("b", 1, &["10.0.0.2:80"])],
        vec![locality("b", 1, &["10.0.0.3:80", "10.0.0.3:80"])],
        vec![{
            let mut locality = locality("b", 0, &["10.0.0.9:80"]);
            inline(&mut locality.lb_endpoints[0]).additional_addresses =
                vec![eds::endpoint::AdditionalAddress { address: Some(address("10.0.0.1:80")) }];
            locality
        }],
    ] {
        let raw = assignment("c", [one(), more].concat()).encode_to_vec();
        let cold = update(None, &raw).unwrap_err();
        assert_eq!(cold, update(Some((&first, &old)), &raw).unwrap_err());
        assert!(cold.path.starts_with("endpoints[1].lb_endpoints["), "{cold}");
        assert!(cold.why.ends_with("stands twice"), "{cold}");
    }
}

#[test]
fn unchanged_endpoints_are_the_same_objects() {
    let first = vec![
        locality("a", 0, &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]),
        locality("b", 1, &["10.0.1.1:80", "10.0.1.2:80"]),
    ];
    let raw = assignment("c", first.clone()).encode_to_vec();
    let old = update(None, &raw).unwrap();
    let mut second = first;
    second[0].lb_endpoints[1].load_balancing_weight = u32v(5);
    second.swap(0, 1);
    let new = update(Some((&raw, &old)), &assignment("c", second).encode_to_vec()).unwrap();
    assert!(Arc::ptr_eq(&old.localities[1].endpoints, &new.localities[1].endpoints));
    let (old, new) = (&old.localities[0].endpoints, &new.localities[0].endpoints);
    assert!(Arc::ptr_eq(&old[0], &new[0]) && Arc::ptr_eq(&old[2], &new[2]));
    assert!(!Arc::ptr_eq(&old[1], &new[1]) && Arc::ptr_eq(&old[1].state, &new[1].state));
    assert_eq!((old[1].weight, new[1].weight), (1, 5));
}

#[test]
fn an_endpoint_that_moves_keeps_its_state() {
    let raw = assignment(
        "c",
        vec![locality("a", 0, &["10.0.0.1:80", "10.0.0.2:80"]), locality("b", 0, &["10.0.0.3:80"])],
    )
    .encode_to_vec();
    let old = update(None, &raw).unwrap();
    let next = vec![
        locality("a", 0, &["10.0.0.3:80"]),
        locality("b", 1, &["10.0.0.2:80", "10.0.0.4:80", "10.0.0.1:80"]),
    ];
    let new = update(Some((&raw, &old)), &assignment("c", next).encode_to_vec()).unwrap();
    let state = |of: &Assignment, address: &str| {
        let all = endpoints(of);
        all.iter().find(|e| e.address.to_string() == address).unwrap().state.clone()
    };
    for address in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"] {
        assert!(Arc::ptr_eq(&state(&old, address), &state(&new, address)), "{address}");
    }
    assert_eq!(addresses(&new), ["10.0.0.3:80", "10.0.0.2:80", "10.0.0.4:80", "10.0.0.1:80"]);
}

/// Zone, priority, weight, and host and weight of each endpoint.
type Shape = (u8, u32, u32, Vec<(u8, u32)>);

fn any_assignment() -> impl Strategy<Value = Vec<Shape>> {
    let endpoints = prop::collection::vec((0u8..12, 1u32..3), 0..6);
    prop::collection::vec((0u8..3, 0u32..2, 0u32..3, endpoints), 0..4)
}

fn encode(localities: &[Shape]) -> Vec<u8> {
    let locality = |(zone, priority, weight, list): &Shape| {
        let mut locality = locality(&zone.to_string(), *priority, &[]);
        locality.load_balancing_weight = u32v(*weight);
        locality.lb_endpoints = list
            .iter()
            .map(|(host, weight)| eds::LbEndpoint {
                load_balancing_weight: u32v(*weight),
                ..endpoint(&format!("10.0.0.{host}:80"))
            })
            .collect();
        locality
    };
    assignment("c", localities.iter().map(locality).collect()).encode_to_vec()
}

proptest! {
    #[test]
    fn a_warm_update_equals_a_cold_one(steps in prop::collection::vec(any_assignment(), 1..6)) {
        let mut old: Option<(Vec<u8>, Assignment)> = None;
        for step in steps {
            let raw = encode(&step);
            let cold = update(None, &raw);
            let warm = update(old.as_ref().map(|(raw, model)| (&raw[..], model)), &raw);
            match (cold, warm) {
                (Err(cold), Err(warm)) => prop_assert_eq!(cold, warm),
                (Ok(cold), Ok(warm)) => {
                    let text = |a: &Assignment| {
                        a.localities.iter().map(|l| {
                            let e = l.endpoints.iter().map(|e| (e.address.clone(), e.weight));
                            (l.name.clone(), l.weight, l.priority, e.collect::<Vec<_>>())
                        }).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(text(&cold), text(&warm));
                    if let Some((_, old)) = &old {
                        for new in endpoints(&warm) {
                            let kept = endpoints(old).into_iter().find(|o| o.address == new.address);
                            if let Some(kept) = kept {
                                prop_assert!(Arc::ptr_eq(&kept.state, &new.state));
                            }
                        }
                    }
                    old = Some((raw, warm));
                }
                (cold, warm) => prop_assert!(false, "{:?} {:?}", cold.is_ok(), warm.is_ok()),
            }
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = update(None, &bytes);
    }
}
