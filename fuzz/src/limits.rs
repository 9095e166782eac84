//! Limits on rates, and faults: what a rate limit service answers, and requests that say how they
//! want to fail.

use std::sync::OnceLock;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::GrpcService;
use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::ratelimit::v3::RateLimitServiceConfig;
use envoy_types::pb::envoy::config::route::v3::RateLimit as Rule;
use envoy_types::pb::envoy::config::route::v3::rate_limit::Action;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action::{ActionSpecifier, GenericKey};
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::{
    FaultDelaySecifier, HeaderDelay,
};
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_rate_limit::{
    HeaderLimit, LimitType,
};
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::{FaultDelay, FaultRateLimit};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::{
    ErrorType, HeaderAbort,
};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3::RateLimit;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use http::{HeaderMap, Request, StatusCode};
use mesh_core::filter::{ConnectionFactory as _, Factory, Settings, Step, is_writable};
use mesh_core::side::Reply;
use mesh_core::testing::at;
use mesh_xds::parse::fault::FaultFactory;
use mesh_xds::parse::limit::{
    LocalRateLimitFactory, NetworkLocalRateLimitFactory, RateLimitFactory,
};
use prost::Message as _;

use super::asked::{Asked, ask};
use super::request::fields;

/// The input is the answer of a rate limit service. It is also taken for the fields of a request in
/// lines, and for the configuration of each filter.
pub(crate) fn limits(input: &[u8]) {
    answer(input);
    faults(input);
    configurations(input);
}

/// A request passes only if the service says so, and what frames it stays as it is.
fn answer(input: &[u8]) {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    let settings = SETTINGS.get_or_init(asking);
    let message = Bytes::copy_from_slice(input);
    let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), message };
    let Asked { step, changes } = asked(&RateLimitFactory::default(), settings, &[reply], b"");
    let code = RateLimitResponse::decode(input).ok().map(|it| it.overall_code());
    let status = if let Step::Respond(response) = &step {
        response.status
    } else {
        assert!(matches!(step, Step::Continue), "it was answered: {step:?}");
        StatusCode::OK
    };
    let expect = match code {
        Some(Code::Ok) => StatusCode::OK,
        Some(Code::OverLimit) => StatusCode::TOO_MANY_REQUESTS,
        Some(Code::Unknown) | None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    assert_eq!(status, expect);
    assert!(changes.set.is_empty() && changes.remove.is_empty(), "{changes:?}");
    assert!(changes.append.iter().all(|(name, _)| is_writable(name)), "{changes:?}");
}

/// Whatever a request asks for, it gets a delay that ends, a status that there is, or nothing.
fn faults(input: &[u8]) {
    static ASKED: OnceLock<[Settings; 2]> = OnceLock::new();
    for settings in ASKED.get_or_init(failing) {
        let step = asked(&FaultFactory::default(), settings, &[], input).step;
        if let Step::Respond(response) = &step {
            assert!((200..600).contains(&response.status.as_u16()) && response.grpc <= 16);
        } else if let Step::WaitUntil(until) = &step {
            assert!(*until > at(0));
        } else {
            assert!(matches!(step, Step::Continue), "a fault does not do this: {step:?}");
        }
    }
}

fn configurations(input: &[u8]) {
    let factories: [&dyn Factory; 3] =
        [&LocalRateLimitFactory::default(), &RateLimitFactory::default(), &FaultFactory::default()];
    for factory in factories {
        for settings in [factory.parse(input), factory.parse_override(input)].into_iter().flatten()
        {
            drop(asked(factory, &settings, &[], b"x-a: 1"));
        }
    }
    if let Ok(filter) = NetworkLocalRateLimitFactory::default().build(input) {
        drop(filter.arrive(at(0)));
    }
}

fn asked(factory: &dyn Factory, settings: &Settings, replies: &[Reply], input: &[u8]) -> Asked {
    let mut request = Request::get("http://shop/a?b=1").body(()).expect("is good");
    *request.headers_mut() = fields(input.split(|byte| *byte == b'\n'));
    let replies = replies.iter().cloned().map(Ok).collect();
    ask(&*factory.build(settings, &[]), &request.into_parts().0, (0, replies))
}

/// A filter that asks about every request.
fn asking() -> Settings {
    let envoy = EnvoyGrpc { cluster_name: "c".into(), ..Default::default() };
    let service = GrpcService {
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(envoy)),
        ..Default::default()
    };
    let key = GenericKey { descriptor_value: "v".into(), ..Default::default() };
    let action = Action { action_specifier: Some(ActionSpecifier::GenericKey(key)) };
    let message = RateLimit {
        domain: "d".into(),
        failure_mode_deny: true,
        rate_limit_service: Some(RateLimitServiceConfig {
            grpc_service: Some(service),
            transport_api_version: 2,
        }),
        rate_limits: vec![Rule { actions: vec![action], ..Default::default() }],
        enable_x_ratelimit_headers: 1,
        enable_retry_after_header: true,
        ..Default::default()
    };
    let settings = RateLimitFactory::default().parse(&message.encode_to_vec());
    settings.expect("the configuration is good")
}

/// A filter that delays and slows down as requests say, and one that aborts as they say.
fn failing() -> [Settings; 2] {
    let percentage = Some(FractionalPercent { numerator: 100, denominator: 0 });
    let delay = FaultDelay {
        percentage,
        fault_delay_secifier: Some(FaultDelaySecifier::HeaderDelay(HeaderDelay {})),
    };
    let limit =
        FaultRateLimit { percentage, limit_type: Some(LimitType::HeaderLimit(HeaderLimit {})) };
    let abort = FaultAbort {
        percentage,
        error_type: Some(ErrorType::HeaderAbort(HeaderAbort {})),
        ..Default::default()
    };
    let late =
        HttpFault { delay: Some(delay), response_rate_limit: Some(limit), ..Default::default() };
    let aborted = HttpFault { abort: Some(abort), ..Default::default() };
    [late, aborted].map(|message| {
        let settings = FaultFactory::default().parse(&message.encode_to_vec());
        settings.expect("the configuration is good")
    })
}
