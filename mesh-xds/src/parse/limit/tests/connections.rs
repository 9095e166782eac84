use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RuntimeFeatureFlag;
use envoy_types::pb::envoy::extensions::filters::network::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::google::protobuf::BoolValue;
use mesh_core::filter::{ConnectionFactory, ConnectionFilter};
use mesh_core::identity::Peer;
use mesh_core::testing::at;
use prost::Message;

use super::kit::bucket;
use crate::parse::limit::NetworkLocalRateLimitFactory;

fn limit(max_tokens: u32, share_key: &str) -> LocalRateLimit {
    LocalRateLimit {
        stat_prefix: "l".into(),
        token_bucket: bucket(max_tokens),
        share_key: share_key.into(),
        ..LocalRateLimit::default()
    }
}

fn build(
    factory: &NetworkLocalRateLimitFactory,
    message: &LocalRateLimit,
) -> Result<Arc<dyn ConnectionFilter>, String> {
    factory.build(&message.encode_to_vec())
}

/// How many of ten connections may come after so many seconds.
fn arriving(filter: &dyn ConnectionFilter, seconds: u64) -> usize {
    (0..10).filter(|_| filter.arrive(at(seconds)).is_ok()).count()
}

#[test]
fn only_so_many_connections_come_and_none_is_counted_twice() {
    let filter = build(&NetworkLocalRateLimitFactory::default(), &limit(3, "")).unwrap();
    assert_eq!((arriving(&*filter, 0), arriving(&*filter, 2)), (3, 2));
    let denied = filter.arrive(at(2)).unwrap_err();
    assert_eq!((&*denied.rule, denied.hold.is_zero()), ("local rate limit \"l\"", true));
    assert!(filter.admit(&Peer::default()).is_ok());
}

#[test]
fn filters_with_one_key_and_one_bucket_share_it() {
    let factory = NetworkLocalRateLimitFactory::default();
    let filter = |tokens, key| build(&factory, &limit(tokens, key)).unwrap();
    let (one, same) = (filter(3, "a"), filter(3, "a"));
    let others = [filter(3, "b"), filter(4, "a"), filter(3, ""), filter(3, "")];
    assert_eq!((arriving(&*one, 0), arriving(&*same, 0)), (3, 0));
    assert_eq!(others.each_ref().map(|it| arriving(&**it, 0)), [3, 4, 3, 3]);
    drop((one, same));
    assert_eq!(arriving(&*filter(3, "a"), 0), 3, "the bucket has gone with its last filter");
}

#[test]
fn a_limit_can_be_switched_off() {
    let flag = |value| RuntimeFeatureFlag {
        default_value: Some(BoolValue { value }),
        runtime_key: "k".into(),
    };
    for (value, expect) in [(false, 10), (true, 0)] {
        let message = LocalRateLimit { runtime_enabled: Some(flag(value)), ..limit(0, "") };
        let filter = build(&NetworkLocalRateLimitFactory::default(), &message).unwrap();
        assert_eq!(arriving(&*filter, 0), expect);
    }
}

#[test]
fn what_is_no_limit_is_refused_with_its_place() {
    let cases = [
        (LocalRateLimit { stat_prefix: String::new(), ..limit(1, "") }, "stat_prefix: is empty"),
        (LocalRateLimit { token_bucket: None, ..limit(1, "") }, "token_bucket: is required"),
        (
            LocalRateLimit { runtime_enabled: Some(RuntimeFeatureFlag::default()), ..limit(1, "") },
            "runtime_enabled.default_value: is required",
        ),
    ];
    for (message, expect) in cases {
        let why = build(&NetworkLocalRateLimitFactory::default(), &message).unwrap_err();
        assert_eq!(why, expect);
    }
    assert!(NetworkLocalRateLimitFactory::default().build(&[0xff]).is_err());
}
