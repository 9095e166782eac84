use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{DiscoveryType, LbPolicy};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use envoy_types::pb::envoy::extensions::load_balancing_policies::pick_first::v3::PickFirst;
use envoy_types::pb::envoy::extensions::load_balancing_policies::random::v3::Random;
use envoy_types::pb::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use envoy_types::pb::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as http;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options as options;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf;
use mesh_core::cluster::{Config, Discovery, Keepalive, Limits, Upstream};
use mesh_core::cluster::{LoadBalancing, Policy};
use mesh_core::matcher::Fraction;
use mesh_core::retry::Limit;
use proptest::prelude::{prop, proptest};
use prost::{Message, Name};

mod breaker;
mod outlier;

use super::upstream::KEY;
use crate::fixtures::{ads, aggregate, any, cluster, inline_cluster, locality, u32v};
use crate::parse::{Registry, Reject};

fn parse(message: &cds::Cluster) -> Result<Config, Reject> {
    super::parse(&message.encode_to_vec(), &Registry::default())
}

/// The path at which an EDS cluster, changed by `change`, is refused.
fn path(change: impl FnOnce(&mut cds::Cluster)) -> String {
    let mut message = cluster("c", "e");
    change(&mut message);
    parse(&message).unwrap_err().path.into()
}

/// An EDS cluster, changed by `change`.
fn parsed(change: impl FnOnce(&mut cds::Cluster)) -> Config {
    let mut message = cluster("c", "e");
    change(&mut message);
    parse(&message).unwrap()
}

fn packed<M: Message + Name>(message: &M) -> protobuf::Any {
    any(&M::full_name(), message)
}

fn duration(seconds: i64) -> Option<protobuf::Duration> {
    Some(protobuf::Duration { seconds, nanos: 0 })
}

#[test]
fn defaults_are_filled_in() {
    let config = parse(&cluster("c", "")).unwrap();
    assert!(matches!(&config.discovery, Discovery::Eds { service } if &**service == "c"));
    assert_eq!(config.connections.connect_timeout, Duration::from_secs(5));
    assert_eq!((config.limits.max_requests, config.upstream), (1024, Upstream::Http2));
    assert_eq!(config.lb, LoadBalancing { policy: Policy::RoundRobin, locality_weighted: true });
}

#[test]
fn broken_clusters_are_rejected() {
    assert_eq!(&*super::parse(&[0xff], &Registry::default()).unwrap_err().path, "");
    assert_eq!(path(|c| c.name.clear()), "name");
    assert_eq!(path(|c| c.eds_cluster_config = None), "eds_cluster_config");
    let config = |c: &mut cds::Cluster| c.eds_cluster_config.clone().unwrap_or_default();
    assert_eq!(
        path(|c| c.eds_cluster_config =
            Some(cds::cluster::EdsClusterConfig { eds_config: None, ..config(c) })),
        "eds_cluster_config.eds_config"
    );
    let xdstp = "xdstp://a/envoy.config.cluster.v3.Cluster/c";
    let message = cluster(xdstp, "");
    assert_eq!(&*parse(&message).unwrap_err().path, "eds_cluster_config.service_name");
    assert_eq!(&*parse(&cluster("c", xdstp)).unwrap_err().path, "eds_cluster_config.service_name");
    assert_eq!(path(|c| c.lrs_server = Some(ads())), "lrs_server");
    assert_eq!(path(|c| c.connect_timeout = duration(0)), "connect_timeout");
    assert_eq!(path(|c| c.connect_timeout = duration(-1)), "connect_timeout");
    let original = inline_cluster("c", DiscoveryType::OriginalDst, vec![]);
    assert_eq!(&*parse(&original).unwrap_err().path, "type");
}

#[test]
fn static_clusters_bring_their_endpoints() {
    let bare = |address| {
        let mut locality = locality("", 0, &[address]);
        locality.locality = None;
        locality.load_balancing_weight = None;
        locality
    };
    let list = vec![bare("10.0.0.1:80"), bare("10.0.0.2:80")];
    let config = parse(&inline_cluster("c", DiscoveryType::Static, list)).unwrap();
    let Discovery::Static(assignment) = &config.discovery else { panic!("{config:?}") };
    assert_eq!((assignment.len(), assignment.localities[1].weight), (2, 1));
    let broken = inline_cluster("c", DiscoveryType::Static, vec![bare("name:80")]);
    assert_eq!(
        &*parse(&broken).unwrap_err().path,
        "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address"
    );
    let missing = cds::Cluster { name: "c".into(), ..Default::default() };
    assert_eq!(&*parse(&missing).unwrap_err().path, "load_assignment");
}

#[test]
fn dns_clusters_bring_their_names() {
    let list = vec![locality("a", 0, &["one:80"]), locality("b", 1, &["two:81", "10.0.0.1:82"])];
    let mut message = inline_cluster("c", DiscoveryType::StrictDns, list.clone());
    #[expect(deprecated, reason = "control planes send it")]
    {
        message.dns_refresh_rate = duration(9);
    }
    let config = parse(&message).unwrap();
    let Discovery::StrictDns { hosts, refresh } = &config.discovery else { panic!("{config:?}") };
    let found: Vec<_> = hosts.iter().map(|h| (&*h.host, h.port, h.priority, h.locality)).collect();
    assert_eq!(found, [("one", 80, 0, 0), ("two", 81, 1, 1), ("10.0.0.1", 82, 1, 1)]);
    assert_eq!(*refresh, Duration::from_secs(9));

    let logical = |list| {
        let result = parse(&inline_cluster("c", DiscoveryType::LogicalDns, list));
        result.map(|c| c.discovery).map_err(|r| String::from(r.path))
    };
    assert!(matches!(
        logical(vec![locality("", 0, &["one:80"])]),
        Ok(Discovery::LogicalDns { host, .. }) if &*host.host == "one" && host.port == 80
    ));
    let why = |list| logical(list).unwrap_err();
    assert_eq!(why(vec![]), "load_assignment.endpoints");
    assert_eq!(why(list), "load_assignment.endpoints");
    assert_eq!(why(vec![locality("", 0, &[])]), "load_assignment.endpoints[0].lb_endpoints");
    let mut weightless = locality("", 0, &["one:80"]);
    weightless.load_balancing_weight = u32v(0);
    assert_eq!(why(vec![weightless]), "load_assignment.endpoints[0].load_balancing_weight");
    let socket = |change: fn(&mut core::SocketAddress)| {
        use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
        let mut list = vec![locality("", 0, &["one:80"])];
        let Some(HostIdentifier::Endpoint(endpoint)) = &mut list[0].lb_endpoints[0].host_identifier
        else {
            panic!("made inline")
        };
        let address = endpoint.address.as_mut().and_then(|a| a.address.as_mut());
        let Some(core::address::Address::SocketAddress(socket)) = address else {
            panic!("made as socket")
        };
        change(socket);
        let path = why(list);
        path.rsplit_once('.').map(|(_, field)| field.to_owned()).unwrap()
    };
    assert_eq!(socket(|s| s.resolver_name = "r".into()), "resolver_name");
    assert_eq!(socket(|s| s.port_specifier = None), "port_value");
    assert_eq!(socket(|s| s.address.clear()), "address");
}

#[test]
fn aggregates_name_their_parts() {
    let config = parse(&aggregate("a", &["b", "c"])).unwrap();
    let Discovery::Aggregate(parts) = &config.discovery else { panic!("{config:?}") };
    assert_eq!(parts.iter().map(|p| &**p).collect::<Vec<_>>(), ["b", "c"]);
    let why = |message: &cds::Cluster| String::from(parse(message).unwrap_err().path);
    assert_eq!(why(&aggregate("a", &[])), "cluster_type.typed_config.clusters");
    assert_eq!(why(&aggregate("a", &["b", ""])), "cluster_type.typed_config.clusters[1]");
    let custom = |config| {
        path(|c| {
            c.cluster_discovery_type = Some(cds::cluster::ClusterDiscoveryType::ClusterType(
                cds::cluster::CustomClusterType { name: "x".into(), typed_config: config },
            ));
        })
    };
    assert_eq!(custom(None), "cluster_type.typed_config");
    assert_eq!(custom(Some(packed(&RoundRobin::default()))), "cluster_type.typed_config");
}

fn policies(list: Vec<protobuf::Any>) -> cds::LoadBalancingPolicy {
    let policy = |any| cds::load_balancing_policy::Policy {
        typed_extension_config: Some(core::TypedExtensionConfig {
            name: "p".into(),
            typed_config: Some(any),
        }),
    };
    cds::LoadBalancingPolicy { policies: list.into_iter().map(policy).collect() }
}

fn wrr(list: Vec<protobuf::Any>) -> protobuf::Any {
    packed(&WrrLocality { endpoint_picking_policy: Some(policies(list)) })
}

#[test]
fn the_first_known_policy_of_the_list_counts() {
    let policy = |list| parsed(|c| c.load_balancing_policy = Some(policies(list))).lb;
    let unknown = || any("test.Unknown", &RoundRobin::default());
    let first = packed(&PickFirst { shuffle_address_list: true });
    let config = |policy, locality_weighted| LoadBalancing { policy, locality_weighted };
    assert_eq!(
        policy(vec![unknown(), first, packed(&Random::default())]),
        config(Policy::PickFirst { shuffle: true }, false)
    );
    let least = packed(&LeastRequest { choice_count: u32v(99), ..Default::default() });
    let choices = 10;
    assert_eq!(policy(vec![wrr(vec![least])]), config(Policy::LeastRequest { choices }, true));
    assert_eq!(policy(vec![packed(&RoundRobin::default())]), config(Policy::RoundRobin, false));
    // It wins over the older field, which would be refused.
    let both = parsed(|c| {
        c.lb_policy = LbPolicy::Maglev.into();
        c.load_balancing_policy = Some(policies(vec![packed(&Random::default())]));
    });
    assert_eq!(both.lb.policy, Policy::Random);
}

#[test]
fn broken_policies_are_rejected() {
    let why = |list| path(|c| c.load_balancing_policy = Some(policies(list)));
    assert_eq!(why(vec![]), "load_balancing_policy.policies");
    let unknown = any("test.Unknown", &RoundRobin::default());
    assert_eq!(why(vec![unknown]), "load_balancing_policy.policies");
    let one = || packed(&LeastRequest { choice_count: u32v(1), ..Default::default() });
    let config = "load_balancing_policy.policies[0].typed_extension_config.typed_config";
    assert_eq!(why(vec![one()]), format!("{config}.choice_count"));
    let bad = protobuf::Any { type_url: RoundRobin::type_url(), value: vec![0xff] };
    assert_eq!(why(vec![bad]), config);
    let empty = packed(&WrrLocality { endpoint_picking_policy: None });
    assert_eq!(why(vec![empty]), format!("{config}.endpoint_picking_policy"));
    let deep = |depth| (1..depth).fold(packed(&Random::default()), |within, _| wrr(vec![within]));
    assert_eq!(
        parsed(|c| c.load_balancing_policy = Some(policies(vec![deep(16)]))).lb.policy,
        Policy::Random
    );
    assert!(why(vec![deep(17)]).ends_with(".endpoint_picking_policy"));
    for policy in [LbPolicy::RingHash, LbPolicy::Maglev, LbPolicy::ClusterProvided] {
        assert_eq!(path(|c| c.lb_policy = policy.into()), "lb_policy");
    }
    assert_eq!(path(|c| c.lb_policy = 99), "lb_policy");
    let least = |count| {
        move |c: &mut cds::Cluster| {
            let config = cds::cluster::LeastRequestLbConfig {
                choice_count: u32v(count),
                ..Default::default()
            };
            c.lb_policy = LbPolicy::LeastRequest.into();
            c.lb_config = Some(cds::cluster::LbConfig::LeastRequestLbConfig(config));
        }
    };
    assert_eq!(path(least(1)), "least_request_lb_config.choice_count");
    assert_eq!(parsed(least(3)).lb.policy, Policy::LeastRequest { choices: 3 });
}

#[test]
fn retries_are_bounded_by_a_budget_or_a_number() {
    use cds::circuit_breakers::thresholds::RetryBudget;
    let breakers = |max_retries, percent: Option<f64>, min| {
        let budget_percent = percent.map(|value| Percent { value });
        let budget =
            RetryBudget { budget_percent, min_retry_concurrency: min, ..Default::default() };
        cds::CircuitBreakers {
            thresholds: vec![cds::circuit_breakers::Thresholds {
                max_retries,
                retry_budget: (percent.is_some() || min.is_some()).then_some(budget),
                ..Default::default()
            }],
            ..Default::default()
        }
    };
    let limit = |breakers| parsed(|c| c.circuit_breakers = Some(breakers)).retries;
    let share =
        |millionths, min| Some(Limit::Share { ratio: Fraction::per_million(millionths), min });
    assert_eq!(parsed(|_| ()).retries, None);
    assert_eq!(limit(breakers(None, None, None)), None);
    assert_eq!(limit(breakers(u32v(5), None, None)), Some(Limit::AtMost(5)));
    assert_eq!(limit(breakers(u32v(5), Some(0.5), None)), share(5_000, 3));
    assert_eq!(limit(breakers(None, None, u32v(7))), share(200_000, 7));
    for percent in [-1.0, 100.1, f64::NAN] {
        assert_eq!(
            path(|c| c.circuit_breakers = Some(breakers(None, Some(percent), None))),
            "circuit_breakers.thresholds[0].retry_budget.budget_percent"
        );
    }
}

#[test]
fn limits_are_those_of_each_priority() {
    let threshold = |priority: core::RoutingPriority, max| cds::circuit_breakers::Thresholds {
        priority: priority.into(),
        max_requests: u32v(max),
        max_pending_requests: u32v(max + 1),
        max_connections: u32v(max),
        max_retries: u32v(max + 2),
        track_remaining: max == 1,
        ..Default::default()
    };
    let (high, default) = (core::RoutingPriority::High, core::RoutingPriority::Default);
    let breakers = |per_host| cds::CircuitBreakers {
        thresholds: vec![threshold(high, 1), threshold(default, 2), threshold(default, 3)],
        per_host_thresholds: vec![threshold(high, 0), threshold(default, per_host)],
    };
    let config = parsed(|c| c.circuit_breakers = Some(breakers(99)));
    let limits = |max| Limits {
        max_requests: max,
        max_pending: max + 1,
        max_connections: max,
        track_remaining: max == 1,
    };
    assert_eq!((config.limits, config.high), (limits(2), limits(1)));
    let retries = (config.retries, config.high_retries);
    assert_eq!(retries, (Some(Limit::AtMost(4)), Some(Limit::AtMost(3))));
    assert_eq!(parsed(|_| ()).high, Limits::default());
    assert_eq!(config.connections.per_endpoint, 10);
    assert_eq!(
        path(|c| c.circuit_breakers = Some(breakers(0))),
        "circuit_breakers.per_host_thresholds[1].max_connections"
    );
    let unknown = || cds::circuit_breakers::Thresholds { priority: 7, ..Default::default() };
    let mut odd = breakers(1);
    odd.thresholds.push(unknown());
    let why = path(|c| c.circuit_breakers = Some(odd));
    assert_eq!(why, "circuit_breakers.thresholds[3].priority");
    let mut odd = breakers(1);
    odd.per_host_thresholds.push(unknown());
    let why = path(|c| c.circuit_breakers = Some(odd));
    assert_eq!(why, "circuit_breakers.per_host_thresholds[2].priority");
}

/// The protocol options `message` in a cluster.
fn with_options(message: http::HttpProtocolOptions) -> impl FnOnce(&mut cds::Cluster) {
    move |c| {
        c.typed_extension_protocol_options.insert(KEY.into(), packed(&message));
    }
}

fn explicit(protocol: Option<ProtocolConfig>) -> http::HttpProtocolOptions {
    let config = options::ExplicitHttpConfig { protocol_config: protocol };
    let options = options::UpstreamProtocolOptions::ExplicitHttpConfig(config);
    http::HttpProtocolOptions { upstream_protocol_options: Some(options), ..Default::default() }
}

fn http2(change: impl FnOnce(&mut core::Http2ProtocolOptions)) -> http::HttpProtocolOptions {
    let mut options = core::Http2ProtocolOptions::default();
    change(&mut options);
    explicit(Some(ProtocolConfig::Http2ProtocolOptions(options)))
}

#[test]
fn protocol_options_are_read() {
    let mut message = http2(|o| {
        o.max_concurrent_streams = u32v(7);
        o.initial_stream_window_size = u32v(65_535);
        o.connection_keepalive = Some(core::KeepaliveSettings {
            interval: duration(30),
            timeout: duration(2),
            ..Default::default()
        });
    });
    message.common_http_protocol_options = Some(core::HttpProtocolOptions {
        idle_timeout: duration(0),
        max_connection_duration: duration(60),
        max_requests_per_connection: u32v(9),
        ..Default::default()
    });
    let found = parsed(with_options(message)).connections;
    assert_eq!((found.max_concurrent_streams, found.stream_window), (Some(7), 65_535));
    assert_eq!((found.idle_timeout, found.max_age), (None, Some(Duration::from_secs(60))));
    assert_eq!(found.max_requests, Some(9));
    let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(2));
    assert_eq!(found.keepalive, Some(Keepalive { interval, timeout }));
    let http1 = explicit(Some(ProtocolConfig::HttpProtocolOptions(Default::default())));
    assert_eq!(parsed(with_options(http1)).upstream, Upstream::Http1);
}

#[test]
#[expect(deprecated, reason = "control planes send these fields")]
fn older_protocol_fields_are_read() {
    let config = parsed(|c| c.http_protocol_options = Some(Default::default()));
    assert_eq!(config.upstream, Upstream::Http1);
    let config = parsed(|c| {
        c.http2_protocol_options = Some(Default::default());
        c.max_requests_per_connection = u32v(5);
        c.common_http_protocol_options =
            Some(core::HttpProtocolOptions { idle_timeout: duration(1), ..Default::default() });
    });
    assert_eq!((config.upstream, config.connections.max_requests), (Upstream::Http2, Some(5)));
    assert_eq!(config.connections.idle_timeout, Some(Duration::from_secs(1)));
}

#[test]
fn broken_protocol_options_are_rejected() {
    let why = |message| {
        let path = path(with_options(message));
        let prefix = format!("typed_extension_protocol_options[{KEY:?}]");
        path.strip_prefix(&prefix).unwrap().trim_start_matches('.').to_owned()
    };
    assert_eq!(why(http::HttpProtocolOptions::default()), "upstream_protocol_options");
    assert_eq!(why(explicit(None)), "explicit_http_config");
    let http3 = explicit(Some(ProtocolConfig::Http3ProtocolOptions(Default::default())));
    assert_eq!(why(http3), "explicit_http_config.http3_protocol_options");
    let h2 = "explicit_http_config.http2_protocol_options";
    let window = http2(|o| o.initial_connection_window_size = u32v(1));
    assert_eq!(why(window), format!("{h2}.initial_connection_window_size"));
    let streams = http2(|o| o.max_concurrent_streams = u32v(0));
    assert_eq!(why(streams), format!("{h2}.max_concurrent_streams"));
    let pings = http2(|o| {
        o.connection_keepalive =
            Some(core::KeepaliveSettings { interval: duration(0), ..Default::default() });
    });
    assert_eq!(why(pings), format!("{h2}.connection_keepalive.interval"));
    let mut common = http2(|_| {});
    common.common_http_protocol_options =
        Some(core::HttpProtocolOptions { idle_timeout: duration(-1), ..Default::default() });
    assert_eq!(why(common), "common_http_protocol_options.idle_timeout");
    let other = path(|c| {
        let other = packed(&RoundRobin::default());
        c.typed_extension_protocol_options.insert(KEY.into(), other);
    });
    assert!(other.starts_with("typed_extension_protocol_options["), "{other}");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = super::parse(&bytes, &Registry::default());
    }
}
