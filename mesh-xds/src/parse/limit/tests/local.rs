//! Limits that are kept here.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::RateLimit;
use envoy_types::pb::envoy::config::route::v3::rate_limit::HitsAddend;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::LocalRateLimitDescriptor;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::BoolValue;
use http::HeaderMap;
use mesh_core::filter::{ConnectionMemory, Factory};
use mesh_core::limit::{Action, Entry, Rule};
use prost::Message;

use super::kit::{Kit, described, field, generic, limit, number, rule, share, user};
use crate::parse::limit::LocalRateLimitFactory;

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_bucket_lets_pass_what_it_holds_and_then_what_it_gets() {
    let mut kit = Kit::new(&limit(3));
    assert_eq!(kit.passing(5, &[]), 3);
    let refusal = kit.send(&[]).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.grpc), (429, 14));
    assert_eq!((&*refusal.body, refusal.headers.len()), (&b"local_rate_limited"[..], 0));
    kit.now += Duration::from_millis(2_500);
    assert_eq!(kit.passing(5, &[]), 2);
}

#[test]
fn nothing_is_limited_unless_it_is_enabled_and_enforced() {
    let off = LocalRateLimit { filter_enabled: None, ..limit(1) };
    assert_eq!(Kit::new(&off).passing(5, &[]), 5);
    let request = vec![field("x-over", "100%%")];
    let counted = LocalRateLimit {
        filter_enforced: None,
        request_headers_to_add_when_not_enforced: request,
        ..limit(1)
    };
    let mut kit = Kit::new(&counted);
    let seen = [0; 3].map(|_| text(&kit.send(&[]).unwrap().request, "x-over").map(str::to_owned));
    assert_eq!(seen, [None, Some("100%".to_owned()), Some("100%".to_owned())]);
    let half = LocalRateLimit { filter_enabled: share(50), ..limit(0) };
    let passing = Kit::new(&half).passing(10_000, &[]);
    assert!(passing.abs_diff(5_000) < 200, "{passing}");
    let none = LocalRateLimit { token_bucket: None, ..limit(0) };
    assert_eq!(Kit::new(&none).passing(5, &[]), 5);
    assert_eq!(Kit::new(&limit(0)).passing(5, &[]), 0);
}

#[test]
fn refusals_say_what_they_are_told_to() {
    let mut message = LocalRateLimit {
        status: Some(HttpStatus { code: 503 }),
        response_headers_to_add: vec![field("x-limited", "yes")],
        rate_limited_as_resource_exhausted: true,
        enable_x_ratelimit_headers: 1,
        enable_retry_after_header: true,
        ..limit(1)
    };
    let mut kit = Kit::new(&message);
    let passed = kit.send(&[]).unwrap().response;
    let rest = |headers: &HeaderMap| {
        ["limit", "remaining", "reset"].map(|name| {
            text(headers, &format!("x-ratelimit-{name}")).unwrap_or_default().to_owned()
        })
    };
    assert_eq!(rest(&passed), ["1", "0", "1"]);
    let refusal = kit.send(&[]).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.grpc), (503, 8));
    assert_eq!(text(&refusal.headers, "x-limited"), Some("yes"));
    assert_eq!(text(&refusal.headers, "retry-after"), None, "only with 429");
    assert_eq!(rest(&refusal.headers), ["1", "0", "1"]);
    message.status = Some(HttpStatus { code: 302 });
    let mut kit = Kit::new(&message);
    kit.passing(1, &[]);
    let refusal = kit.send(&[]).unwrap_err();
    assert_eq!((refusal.status.as_u16(), text(&refusal.headers, "retry-after")), (429, Some("1")));
    message.response_headers_to_add.push(field("retry-after", "60"));
    let mut kit = Kit::new(&message);
    kit.passing(1, &[]);
    assert_eq!(text(&kit.send(&[]).unwrap_err().headers, "retry-after"), Some("60"));
    let mut kit = Kit::new(&LocalRateLimit { enable_x_ratelimit_headers: 1, ..limit(4) });
    assert_eq!(rest(&kit.send(&[]).unwrap().response), ["4", "3", "0"]);
}

#[test]
fn descriptors_have_buckets_of_their_own() {
    let message = LocalRateLimit {
        descriptors: vec![described(&[("user", "gold")], 3), described(&[("user", "mean")], 1)],
        rate_limits: vec![rule(vec![user()])],
        ..limit(100)
    };
    let mut kit = Kit::new(&message);
    assert_eq!(kit.passing(5, &[("x-user", "gold")]), 3);
    assert_eq!(kit.passing(5, &[("x-user", "mean")]), 1);
    assert_eq!(kit.passing(5, &[("x-user", "other")]), 5);
    // 3 + 1 + 5 are gone, and as many as were refused are not.
    assert_eq!(kit.passing(200, &[]), 91);
    let always = |value| Some(BoolValue { value });
    let message = LocalRateLimit { always_consume_default_token_bucket: always(false), ..message };
    let mut kit = Kit::new(&message);
    assert_eq!(kit.passing(5, &[("x-user", "gold")]), 3);
    assert_eq!(kit.passing(200, &[]), 100);
}

#[test]
fn the_slowest_of_several_buckets_is_asked_first() {
    let mut slow = described(&[("generic_key", "slow")], 1);
    slow.token_bucket.as_mut().unwrap().fill_interval.as_mut().unwrap().seconds = 60;
    let message = LocalRateLimit {
        descriptors: vec![described(&[("generic_key", "fast")], 5), slow],
        rate_limits: vec![rule(vec![generic("fast")]), rule(vec![generic("slow")])],
        ..limit(100)
    };
    let mut kit = Kit::new(&message);
    assert_eq!(kit.passing(9, &[]), 1);
    kit.now += Duration::from_secs(60);
    assert_eq!(kit.passing(9, &[]), 1);
}

#[test]
fn open_values_get_a_bucket_each_up_to_a_bound() {
    let message = LocalRateLimit {
        descriptors: vec![described(&[("user", "")], 1), described(&[("user", "gold")], 3)],
        rate_limits: vec![rule(vec![user()])],
        max_dynamic_descriptors: number(2),
        ..limit(1_000)
    };
    let mut kit = Kit::new(&message);
    let users = ["a", "a", "b", "b", "gold", "gold", "c", "a"];
    let seen = users.map(|user| kit.send(&[("x-user", user)]).is_ok());
    assert_eq!(seen, [true, false, true, false, true, true, true, true]);
}

#[test]
fn shadows_count_but_refuse_nobody() {
    let mut shadow = described(&[("user", "gold")], 1);
    shadow.shadow_mode = true;
    let message = LocalRateLimit {
        descriptors: vec![shadow],
        rate_limits: vec![rule(vec![user()])],
        enable_x_ratelimit_headers: 1,
        ..limit(100)
    };
    let mut kit = Kit::new(&message);
    let left = [0; 3].map(|_| {
        let response = kit.send(&[("x-user", "gold")]).unwrap().response;
        text(&response, "x-ratelimit-remaining").map(str::to_owned)
    });
    assert_eq!(left, [(); 3].map(|()| Some("0".to_owned())));
}

#[test]
fn a_shadow_keeps_no_other_limit_from_being_asked() {
    let mut shadow = described(&[("user", "gold")], 0);
    shadow.shadow_mode = true;
    let passing = |descriptors: Vec<LocalRateLimitDescriptor>, tokens: u32| {
        let message = LocalRateLimit {
            descriptors,
            rate_limits: vec![rule(vec![user()]), rule(vec![generic("all")])],
            ..limit(tokens)
        };
        Kit::new(&message).passing(9, &[("x-user", "gold")])
    };
    assert_eq!(passing(vec![shadow.clone()], 100), 9);
    assert_eq!(passing(vec![shadow.clone(), described(&[("generic_key", "all")], 2)], 100), 2);
    assert_eq!(passing(vec![shadow], 4), 4);
}

#[test]
fn the_route_says_what_counts_where_the_filter_does_not() {
    let mut message = LocalRateLimit {
        descriptors: vec![described(&[("k", "own")], 1), described(&[("k", "host")], 2)],
        stage: 1,
        ..limit(100)
    };
    let rule = |value: &str, stage| Rule {
        stage,
        actions: vec![Action::Fixed(Entry::new(&"k".into(), value))],
        ..Rule::default()
    };
    let passing = |message: &LocalRateLimit, own: Vec<Rule>| {
        let mut kit = Kit::new(message);
        kit.route.limits.own = own.into();
        kit.route.limits.virtual_host = [rule("host", 1)].into();
        kit.passing(9, &[])
    };
    assert_eq!(passing(&message, vec![rule("own", 1)]), 1);
    assert_eq!(passing(&message, vec![rule("own", 0)]), 9, "of another stage");
    let disabled = Rule { has_disable_key: true, ..rule("own", 1) };
    assert_eq!(passing(&message, vec![disabled]), 9);
    assert_eq!(passing(&message, Vec::new()), 2, "the virtual host's");
    message.vh_rate_limits = 2;
    assert_eq!(passing(&message, Vec::new()), 9, "ignored");
    message.vh_rate_limits = 1;
    assert_eq!(passing(&message, vec![rule("own", 0)]), 2, "included");
}

#[test]
fn connections_and_routes_have_buckets_of_their_own() {
    let message = LocalRateLimit { local_rate_limit_per_downstream_connection: true, ..limit(2) };
    let mut kit = Kit::new(&message);
    assert_eq!(kit.passing(5, &[]), 2);
    kit.connection = ConnectionMemory::default();
    assert_eq!(kit.passing(5, &[]), 2);
    let factory = LocalRateLimitFactory::default();
    let base = factory.parse(&limit(1).encode_to_vec()).unwrap();
    let own = factory.parse_override(&limit(3).encode_to_vec()).unwrap();
    let filters = [factory.build(&base, &[]), factory.build(&base, &[own])];
    let counts = filters.map(|filter| Kit::of(filter).passing(9, &[]));
    assert_eq!(counts, [1, 3]);
    // A route that is built again goes on with the same bucket.
    assert_eq!(Kit::of(factory.build(&base, &[])).passing(9, &[]), 0);
    let none = LocalRateLimit { token_bucket: None, ..limit(1) }.encode_to_vec();
    let why = factory.parse_override(&none).err().unwrap();
    assert_eq!(why, "token_bucket: is required in a route");
}

#[test]
fn requests_count_as_often_as_they_say_and_may_give_back() {
    let says = |is_negative_hits| {
        let hits = HitsAddend { number: None, format: "%REQ(x-hits)%".into(), is_negative_hits };
        RateLimit { hits_addend: Some(hits), ..rule(vec![generic("a")]) }
    };
    let message = |is_negative_hits| LocalRateLimit {
        descriptors: vec![described(&[("generic_key", "a")], 5)],
        rate_limits: vec![says(is_negative_hits)],
        ..limit(100)
    };
    let mut kit = Kit::new(&message(false));
    let passes = |kit: &mut Kit, hits| kit.send(&[("x-hits", hits)]).is_ok();
    assert_eq!(["4", "2", "1", "1"].map(|hits| passes(&mut kit, hits)), [true, false, true, false]);
    assert!(passes(&mut kit, "many"), "it is counted as nothing");
    assert!((0..9).all(|_| passes(&mut Kit::new(&message(true)), "1000")), "it takes nothing");
}

#[test]
fn nobody_is_told_to_come_again_where_nobody_may_ever_pass() {
    let never = LocalRateLimit { enable_retry_after_header: true, ..limit(0) };
    let refusal = Kit::new(&never).send(&[]).unwrap_err();
    assert_eq!((refusal.status.as_u16(), text(&refusal.headers, "retry-after")), (429, None));
}
