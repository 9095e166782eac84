use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::config::route::v3::retry_policy as pb;
use envoy_types::pb::envoy::extensions::retry::host::omit_host_metadata::v3::OmitHostMetadataConfig;
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::{self, Any, value::Kind};
use http::StatusCode;
use mesh_core::hedge::{Delay, Safety};
use mesh_core::matcher::Fraction;
use mesh_core::retry::{Conditions, Policy, RateLimited, ResetFormat, ResetHeader, Spacing};
use prost::Name;

use crate::fixtures::u32v;
use crate::parse::{Path, Reject};

fn parse(message: &rds::RetryPolicy) -> Result<Policy, Reject> {
    let parsed = super::policy(Some(message), &Path::root());
    parsed.map(|policy| Policy::clone(&policy.unwrap()))
}

/// Where a policy is refused that `change` makes.
fn path(change: impl FnOnce(&mut rds::RetryPolicy)) -> String {
    let mut message = rds::RetryPolicy::default();
    change(&mut message);
    parse(&message).unwrap_err().path.into()
}

fn policy(change: impl FnOnce(&mut rds::RetryPolicy)) -> Policy {
    let mut message = rds::RetryPolicy::default();
    change(&mut message);
    parse(&message).unwrap()
}

fn millis(millis: i64) -> Option<protobuf::Duration> {
    let nanos = i32::try_from(millis % 1_000).unwrap() * 1_000_000;
    Some(protobuf::Duration { seconds: millis / 1_000, nanos })
}

fn any<M: Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn predicate(name: &str, config: Option<Any>) -> pb::RetryHostPredicate {
    let config_type = config.map(pb::retry_host_predicate::ConfigType::TypedConfig);
    pb::RetryHostPredicate { name: name.into(), config_type }
}

#[test]
fn what_is_not_said_has_the_defaults_of_envoy() {
    let found = policy(|p| p.retry_on = "5xx, unavailable,nonsense".into());
    assert_eq!(found, Policy::new(Conditions::SERVER_ERROR | Conditions::UNAVAILABLE));
    assert_eq!(found.spacing.max, Duration::from_millis(250));
    assert_eq!(policy(|_| ()), Policy::default());
}

#[test]
fn every_field_is_read() {
    let found = policy(|p| {
        p.num_retries = u32v(3);
        p.per_try_timeout = millis(1_500);
        p.per_try_idle_timeout = millis(500);
        p.retriable_status_codes = vec![418, 70_000, 1];
        p.retriable_headers = vec![rds::HeaderMatcher {
            name: "x-again".into(),
            header_match_specifier: Some(rds::header_matcher::HeaderMatchSpecifier::PresentMatch(
                true,
            )),
            ..Default::default()
        }];
        p.retriable_request_headers.clone_from(&p.retriable_headers);
        p.retry_back_off =
            Some(pb::RetryBackOff { base_interval: millis(40), max_interval: millis(50) });
        p.rate_limited_retry_back_off = Some(pb::RateLimitedRetryBackOff {
            reset_headers: vec![
                pb::ResetHeader { name: "Retry-After".into(), format: 0 },
                pb::ResetHeader { name: "x-reset".into(), format: 1 },
            ],
            max_interval: None,
        });
    });
    assert_eq!(found.num_retries, Some(3));
    assert_eq!(found.per_try_timeout, Some(Duration::from_millis(1_500)));
    assert_eq!(found.per_try_idle_timeout, Some(Duration::from_millis(500)));
    assert_eq!(found.status_codes, [StatusCode::IM_A_TEAPOT]);
    assert_eq!((found.headers.len(), found.request_headers.len()), (1, 1));
    let spacing = Spacing { base: Duration::from_millis(40), max: Duration::from_millis(50) };
    assert_eq!(found.spacing, spacing);
    let header = |name: &'static str, format| ResetHeader { name: name.parse().unwrap(), format };
    let headers = vec![
        header("retry-after", ResetFormat::Seconds),
        header("x-reset", ResetFormat::UnixTimestamp),
    ];
    assert_eq!(found.rate_limited, Some(RateLimited { headers, max: Duration::from_secs(300) }));
}

#[test]
fn intervals_are_at_least_a_millisecond() {
    let spacing = |base_interval, max_interval| {
        let back_off = Some(pb::RetryBackOff { base_interval, max_interval });
        policy(|p| p.retry_back_off = back_off).spacing
    };
    let tiny = Some(protobuf::Duration { seconds: 0, nanos: 5 });
    let millis = Duration::from_millis;
    assert_eq!(spacing(tiny, None), Spacing { base: millis(1), max: millis(10) });
    assert_eq!(spacing(tiny, tiny), Spacing { base: millis(1), max: millis(1) });
}

#[test]
fn hosts_are_kept_from_retries() {
    let lb = protobuf::Struct {
        fields: [
            ("stage".to_owned(), protobuf::Value { kind: Some(Kind::StringValue("dev".into())) }),
            ("spare".to_owned(), protobuf::Value { kind: Some(Kind::BoolValue(true)) }),
        ]
        .into(),
    };
    let metadata =
        Metadata { filter_metadata: [("envoy.lb".to_owned(), lb)].into(), ..Default::default() };
    let found = policy(|p| {
        p.retry_host_predicate = vec![
            predicate("a", Some(any(&PreviousHostsPredicate {}))),
            predicate("envoy.retry_host_predicates.omit_canary_hosts", None),
            predicate("c", Some(any(&OmitHostMetadataConfig { metadata_match: Some(metadata) }))),
        ];
        p.host_selection_retry_max_attempts = 5;
    })
    .hosts;
    assert_eq!((found.avoid_previous, found.attempts), (true, 5));
    let label = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let canary = vec![label("canary", "true")];
    assert_eq!(found.omit, [canary, vec![label("spare", "true"), label("stage", "dev")]]);
    assert_eq!(policy(|_| ()).hosts.attempts, 1);
    assert_eq!(policy(|p| p.host_selection_retry_max_attempts = i64::MAX).hosts.attempts, 1_000);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    assert_eq!(path(|p| p.num_retries = u32v(0)), "num_retries");
    assert_eq!(path(|p| p.per_try_timeout = millis(-1_000)), "per_try_timeout");
    assert_eq!(path(|p| p.per_try_idle_timeout = millis(-1_000)), "per_try_idle_timeout");
    let none = rds::HeaderMatcher { name: "a".into(), ..Default::default() };
    assert_eq!(path(|p| p.retriable_headers = vec![none.clone()]), "retriable_headers[0]");
    assert_eq!(
        path(|p| p.retriable_request_headers = vec![none.clone()]),
        "retriable_request_headers[0]"
    );
    assert_eq!(
        path(|p| p.retry_options_predicates = vec![Default::default()]),
        "retry_options_predicates"
    );
    assert_eq!(
        path(|p| p.host_selection_retry_max_attempts = -1),
        "host_selection_retry_max_attempts"
    );
}

#[test]
fn waits_that_servers_ask_for_are_checked() {
    let limited = |reset_headers, max_interval| {
        let limited = pb::RateLimitedRetryBackOff { reset_headers, max_interval };
        path(|p| p.rate_limited_retry_back_off = Some(limited))
    };
    let header = |name: &str, format| vec![pb::ResetHeader { name: name.into(), format }];
    let at = "rate_limited_retry_back_off";
    assert_eq!(limited(vec![], None), format!("{at}.reset_headers"));
    assert_eq!(limited(header("", 0), None), format!("{at}.reset_headers[0].name"));
    assert_eq!(limited(header("a b", 0), None), format!("{at}.reset_headers[0].name"));
    assert_eq!(limited(header("a", 2), None), format!("{at}.reset_headers[0].format"));
    assert_eq!(limited(header("a", 0), millis(0)), format!("{at}.max_interval"));
}

#[test]
fn predicates_that_are_not_known_are_refused() {
    let hosts = |predicate| path(|p| p.retry_host_predicate = vec![predicate]);
    assert_eq!(hosts(predicate("mine", None)), "retry_host_predicate[0].name");
    let other = Some(any(&rds::RetryPolicy::default()));
    assert_eq!(hosts(predicate("mine", other.clone())), "retry_host_predicate[0].typed_config");
    let nothing =
        protobuf::Struct { fields: [("x".to_owned(), protobuf::Value { kind: None })].into() };
    let metadata = Metadata {
        filter_metadata: [("envoy.lb".to_owned(), nothing)].into(),
        ..Default::default()
    };
    let config = any(&OmitHostMetadataConfig { metadata_match: Some(metadata) });
    let at = r#"retry_host_predicate[0].typed_config.metadata_match.filter_metadata["envoy.lb"]"#;
    assert_eq!(hosts(predicate("c", Some(config))), format!(r#"{at}.fields["x"]"#));

    let priority = |config: Option<Any>| pb::RetryPriority {
        name: "p".into(),
        config_type: config.map(pb::retry_priority::ConfigType::TypedConfig),
    };
    let why = |config| path(|p| p.retry_priority = Some(priority(config)));
    assert_eq!(why(None), "retry_priority.typed_config");
    assert_eq!(why(other), "retry_priority.typed_config");
    let every = |update_frequency| Some(any(&PreviousPrioritiesConfig { update_frequency }));
    assert_eq!(why(every(0)), "retry_priority.typed_config.update_frequency");
    assert_eq!(why(every(-1)), "retry_priority.typed_config.update_frequency");
    let found = policy(|p| p.retry_priority = Some(priority(every(2)))).hosts;
    assert_eq!(found.priorities.unwrap().update_frequency.get(), 2);
    assert!(!found.is_empty());
}

#[test]
fn hedge_policies_are_read_and_checked() {
    let hedge = |message: rds::HedgePolicy| super::hedge(Some(&message), &Path::root());
    let found = hedge(rds::HedgePolicy {
        initial_requests: u32v(2),
        additional_request_chance: Some(FractionalPercent { numerator: 5, denominator: 0 }),
        hedge_on_per_try_timeout: true,
    });
    let found = found.unwrap().unwrap();
    assert_eq!((found.initial, found.additional), (2, Fraction::per_million(50_000)));
    assert_eq!((found.delay, found.safety), (Delay::PerTryTimeout, Safety::Any));
    let quiet = hedge(rds::HedgePolicy::default()).unwrap().unwrap();
    assert_eq!((quiet.initial, quiet.delay), (1, Delay::Never));
    let why = |message| String::from(hedge(message).unwrap_err().path);
    let none = rds::HedgePolicy { initial_requests: u32v(0), ..Default::default() };
    assert_eq!(why(none), "initial_requests");
    let chance = FractionalPercent { numerator: 5, denominator: 9 };
    let chance = rds::HedgePolicy { additional_request_chance: Some(chance), ..Default::default() };
    assert_eq!(why(chance), "additional_request_chance.denominator");
}
