//! What routes say their requests are counted as.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action::{self as pb, ActionSpecifier};
use envoy_types::pb::envoy::config::route::v3::rate_limit::r#override::{
    OverrideSpecifier, RateLimitOverride,
};
use envoy_types::pb::envoy::config::route::v3::rate_limit::{HitsAddend, Override as LimitMessage};
use envoy_types::pb::envoy::config::route::v3::{
    QueryParameterMatcher, RateLimit, Route, RouteAction, RouteConfiguration, RouteMatch,
    VirtualHost, route::Action as RouteSpecifier, route_action::ClusterSpecifier,
    route_match::PathSpecifier,
};
use envoy_types::pb::envoy::r#type::matcher::v3::AddressMatcher;
use envoy_types::pb::envoy::r#type::metadata::v3::MetadataKey;
use envoy_types::pb::envoy::r#type::metadata::v3::metadata_key::PathSegment;
use envoy_types::pb::envoy::r#type::metadata::v3::metadata_key::path_segment::Segment;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::xds::core::v3::CidrRange;
use mesh_core::limit::{Action, Entry, LimitSource, Override, Rules, Source, Unit};
use mesh_core::matcher::Field;
use prost::Message;

use super::kit::{generic, number, rule, user};
use crate::parse::{Registry, route};

/// The rules of a route and of its virtual host, of which the node is in the cluster `here`.
#[expect(deprecated, reason = "control planes send include_vh_rate_limits")]
fn read(own: Vec<RateLimit>, virtual_host: Vec<RateLimit>) -> Result<Rules, String> {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster("greeter".into())),
        rate_limits: own,
        include_vh_rate_limits: Some(BoolValue { value: true }),
        ..RouteAction::default()
    };
    let matcher = RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".into())),
        ..RouteMatch::default()
    };
    let route = Route {
        r#match: Some(matcher),
        action: Some(RouteSpecifier::Route(action)),
        ..Route::default()
    };
    let host = VirtualHost {
        name: "h".into(),
        domains: vec!["*".into()],
        routes: vec![route],
        rate_limits: virtual_host,
        ..VirtualHost::default()
    };
    let message = RouteConfiguration { virtual_hosts: vec![host], ..RouteConfiguration::default() };
    let registry = Registry::default();
    registry.of_cluster("here");
    registry.of_cluster("there");
    let table = route::parse(&message.encode_to_vec(), &registry).map_err(|why| why.to_string())?;
    Ok(table.routes()[0].limits.clone())
}

fn action(specifier: ActionSpecifier) -> Result<Action, String> {
    Ok(read(vec![rule(vec![specifier])], Vec::new())?.own[0].actions[0].clone())
}

fn key(path: &[&str]) -> Option<MetadataKey> {
    let segment = |key: &&str| PathSegment { segment: Some(Segment::Key((*key).into())) };
    Some(MetadataKey { key: "auth".into(), path: path.iter().map(segment).collect() })
}

fn metadata(source: i32) -> ActionSpecifier {
    ActionSpecifier::Metadata(pb::MetaData {
        descriptor_key: "k".into(),
        metadata_key: key(&["a", "b"]),
        default_value: "d".into(),
        source,
        skip_if_absent: true,
    })
}

fn query(query_parameters: Vec<QueryParameterMatcher>) -> ActionSpecifier {
    ActionSpecifier::QueryParameterValueMatch(pb::QueryParameterValueMatch {
        descriptor_value: "v".into(),
        query_parameters,
        ..pb::QueryParameterValueMatch::default()
    })
}

fn addresses(prefix: &str) -> ActionSpecifier {
    let range = CidrRange { address_prefix: prefix.into(), prefix_len: number(8) };
    ActionSpecifier::RemoteAddressMatch(pb::RemoteAddressMatch {
        descriptor_value: "v".into(),
        address_matcher: Some(AddressMatcher { ranges: vec![range], invert_match: true }),
        ..pb::RemoteAddressMatch::default()
    })
}

fn masked(v4: u32, v6: u32) -> ActionSpecifier {
    ActionSpecifier::MaskedRemoteAddress(pb::MaskedRemoteAddress {
        v4_prefix_mask_len: number(v4),
        v6_prefix_mask_len: number(v6),
    })
}

#[test]
fn every_action_is_read() {
    let here = Action::SourceCluster("here".into());
    assert_eq!(action(ActionSpecifier::SourceCluster(pb::SourceCluster {})), Ok(here));
    let there = ActionSpecifier::DestinationCluster(pb::DestinationCluster {});
    assert_eq!(action(there), Ok(Action::DestinationCluster));
    let remote = ActionSpecifier::RemoteAddress(pb::RemoteAddress {});
    assert_eq!(action(remote), Ok(Action::RemoteAddress));
    let default = ActionSpecifier::MaskedRemoteAddress(pb::MaskedRemoteAddress::default());
    assert_eq!(action(default), Ok(Action::MaskedRemoteAddress { v4: 32, v6: 128 }));
    assert_eq!(action(masked(8, 64)), Ok(Action::MaskedRemoteAddress { v4: 8, v6: 64 }));
    let field = Field::new("x-user").unwrap();
    let header = Action::Header { field, key: "user".into(), skip_if_absent: false };
    assert_eq!(action(user()), Ok(header));
    let entry = |key: &str| Entry::new(&key.into(), "v");
    assert_eq!(action(generic("v")), Ok(Action::Fixed(entry("generic_key"))));
    let present = QueryParameterMatcher { name: "q".into(), ..QueryParameterMatcher::default() };
    let found = action(query(vec![present])).unwrap();
    let Action::QueryMatch { entry: own, query, expect: true } = found else { panic!("{found:?}") };
    assert_eq!((own, query.len()), (entry("query_match"), 1));
    let found = action(addresses("10.0.0.0")).unwrap();
    let Action::AddressMatch { entry: own, invert: true, .. } = found else { panic!("{found:?}") };
    assert_eq!(own, entry("remote_address_match"));
    for (source, expect) in [(0, Source::Request), (1, Source::Route)] {
        let expect = Action::Metadata {
            source: expect,
            namespace: "auth".into(),
            path: ["a".into(), "b".into()].into(),
            key: "k".into(),
            default: Some(Arc::from("d")),
            skip_if_absent: true,
        };
        assert_eq!(action(metadata(source)), Ok(expect));
    }
}

#[test]
fn rules_of_routes_and_of_virtual_hosts_are_kept_apart() {
    let fixed = OverrideSpecifier::RateLimit(RateLimitOverride { requests_per_unit: 5, unit: 2 });
    let hits = HitsAddend { number: None, format: "%REQ(x-hits)%".into(), is_negative_hits: true };
    let own = RateLimit {
        stage: number(3),
        disable_key: "off".into(),
        limit: Some(LimitMessage { override_specifier: Some(fixed) }),
        hits_addend: Some(hits),
        x_ratelimit_option: 1,
        ..rule(vec![generic("own")])
    };
    let rules = read(vec![own], vec![rule(vec![user()]), rule(vec![user()])]).unwrap();
    assert_eq!((rules.own.len(), rules.virtual_host.len()), (1, 2));
    assert!(rules.includes_virtual_host);
    let own = &rules.own[0];
    assert_eq!((own.stage, own.has_disable_key), (3, true));
    let limit = Override { requests: 5, unit: Unit::Minute };
    assert_eq!(own.limit, Some(LimitSource::Fixed(limit)));
    assert_eq!((&own.hits, own.gives_back), (&None, false), "only filters say so, as in Envoy");
    assert_eq!(own.tells_rest, Some(false));
}

#[test]
fn what_cannot_be_counted_is_refused_with_its_place() {
    let place = "virtual_hosts[0].routes[0].route.rate_limits[0]";
    let base = || rule(vec![generic("a")]);
    let one = |specifier| rule(vec![specifier]);
    let extension = ActionSpecifier::Extension(TypedExtensionConfig::default());
    for (message, why) in [
        (RateLimit { stage: number(11), ..base() }, "stage: is above 10"),
        (rule(Vec::new()), "actions: is empty"),
        (
            RateLimit { apply_on_stream_done: true, ..base() },
            "apply_on_stream_done: is not supported here",
        ),
        (
            RateLimit { limit: Some(LimitMessage { override_specifier: None }), ..base() },
            "limit: has no override_specifier that is known",
        ),
        (one(extension), "actions[0].extension: is not supported"),
        (one(generic("")), "actions[0].generic_key.descriptor_value: is empty"),
        (
            one(query(Vec::new())),
            "actions[0].query_parameter_value_match.query_parameters: is empty",
        ),
        (one(masked(33, 64)), "actions[0].masked_remote_address.v4_prefix_mask_len: is above 32"),
        (
            one(addresses("ten")),
            "actions[0].remote_address_match.address_matcher.ranges[0].address_prefix: is not an \
             IP address",
        ),
        (one(metadata(2)), "actions[0].metadata.source: metadata of clusters is not supported"),
        (one(metadata(9)), "actions[0].metadata.source: is unknown"),
    ] {
        assert_eq!(read(vec![message.clone()], Vec::new()), Err(format!("{place}.{why}")));
        let host = read(Vec::new(), vec![message]).unwrap_err();
        assert_eq!(host, format!("virtual_hosts[0].rate_limits[0].{why}"));
    }
}
