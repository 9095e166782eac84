//! Configurations of local limits that are refused.

use envoy_types::pb::envoy::config::route::v3::RateLimit;
use envoy_types::pb::envoy::config::route::v3::rate_limit::HitsAddend;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::{
    LocalClusterRateLimit, LocalRateLimitDescriptor,
};
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::r#type::v3::TokenBucket;
use envoy_types::pb::google::protobuf::{Duration, UInt64Value};
use mesh_core::filter::Factory;
use prost::Message;

use super::kit::{bucket, described, field, generic, limit, number, rule, share};
use crate::parse::limit::LocalRateLimitFactory;

fn refused(message: &LocalRateLimit) -> String {
    LocalRateLimitFactory::default().parse(&message.encode_to_vec()).err().unwrap_or_default()
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_place() {
    let base = || limit(1);
    let filled = |nanos| TokenBucket {
        fill_interval: Some(Duration { seconds: 0, nanos }),
        ..bucket(1).unwrap()
    };
    let buckets = |bucket| LocalRateLimit { token_bucket: Some(bucket), ..base() };
    let describes =
        |descriptors: Vec<LocalRateLimitDescriptor>| LocalRateLimit { descriptors, ..base() };
    let ruled = |rule| LocalRateLimit { rate_limits: vec![rule], ..base() };
    let mut percent = share(1);
    percent.as_mut().unwrap().default_value = None;
    let without = LocalRateLimitDescriptor { token_bucket: None, ..described(&[("a", "b")], 1) };
    for (message, why) in [
        (LocalRateLimit { stat_prefix: String::new(), ..base() }, "stat_prefix: is empty"),
        (buckets(filled(49_999_999)), "token_bucket.fill_interval: is below 50 ms"),
        (buckets(filled(0)), "token_bucket.fill_interval: is 0"),
        (
            buckets(TokenBucket { fill_interval: None, ..filled(0) }),
            "token_bucket.fill_interval: is required",
        ),
        (
            buckets(TokenBucket { tokens_per_fill: number(0), ..bucket(1).unwrap() }),
            "token_bucket.tokens_per_fill: is 0",
        ),
        (LocalRateLimit { stage: 11, ..base() }, "stage: is above 10"),
        (
            LocalRateLimit { max_dynamic_descriptors: number(0), ..base() },
            "max_dynamic_descriptors: is 0",
        ),
        (
            LocalRateLimit { filter_enabled: percent, ..base() },
            "filter_enabled.default_value: is required",
        ),
        (
            LocalRateLimit { local_cluster_rate_limit: Some(LocalClusterRateLimit {}), ..base() },
            "local_cluster_rate_limit: is not supported",
        ),
        (LocalRateLimit { vh_rate_limits: 9, ..base() }, "vh_rate_limits: is unknown"),
        (
            LocalRateLimit { enable_x_ratelimit_headers: 9, ..base() },
            "enable_x_ratelimit_headers: is unknown",
        ),
        (describes(vec![described(&[], 1)]), "descriptors[0].entries: is empty"),
        (describes(vec![described(&[("", "b")], 1)]), "descriptors[0].entries[0].key: is empty"),
        (
            describes(vec![described(&[("a", "b")], 1), described(&[("a", "b")], 2)]),
            "descriptors[1].entries: stand twice",
        ),
        (describes(vec![without]), "descriptors[0].token_bucket: is required"),
        (
            LocalRateLimit { response_headers_to_add: vec![field("a", "%REQ(x)%")], ..base() },
            "response_headers_to_add[0].header.value: command operators (%...%) are not supported",
        ),
        (
            LocalRateLimit {
                request_headers_to_add_when_not_enforced: vec![field("host", "a")],
                ..base()
            },
            "request_headers_to_add_when_not_enforced[0].header.key: host is not for filters to \
             write",
        ),
        (
            ruled(RateLimit { stage: number(0), ..rule(vec![generic("a")]) }),
            "rate_limits[0].stage: is not supported here",
        ),
        (
            ruled(RateLimit { disable_key: "k".into(), ..rule(vec![generic("a")]) }),
            "rate_limits[0].disable_key: is not supported here",
        ),
        (ruled(rule(Vec::new())), "rate_limits[0].actions: is empty"),
    ] {
        assert_eq!(refused(&message), why);
    }
    let always_empty = TokenBucket { max_tokens: 0, ..filled(1) };
    assert_eq!(refused(&buckets(always_empty)), "", "it does not matter how it fills");
}

#[test]
fn hits_that_are_none_are_refused_with_their_place() {
    let refused = |number: Option<u64>, format: &str| {
        let hits = HitsAddend {
            number: number.map(|value| UInt64Value { value }),
            format: format.into(),
            is_negative_hits: false,
        };
        let rule = RateLimit { hits_addend: Some(hits), ..rule(vec![generic("a")]) };
        let why = refused(&LocalRateLimit { rate_limits: vec![rule], ..limit(1) });
        why.strip_prefix("rate_limits[0].hits_addend").unwrap().to_owned()
    };
    assert_eq!(refused(Some(1_000_000_001), ""), ".number: is above 1000000000");
    assert_eq!(refused(Some(1), "x"), ": has both number and format");
    assert_eq!(refused(None, ""), ": has neither number nor format");
    assert_eq!(refused(None, "%BYTES_RECEIVED%"), ".format: only %REQ(name)% is supported");
}
