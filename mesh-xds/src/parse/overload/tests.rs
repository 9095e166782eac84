use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{
    RuntimeDouble, RuntimeFeatureFlag, RuntimePercent, RuntimeUInt32,
};
use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::adaptive_concurrency::ConcurrencyControllerConfig;
use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::gradient_controller_config::{
    ConcurrencyLimitCalculationParams, MinimumRttCalculationParams,
};
use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::{
    AdaptiveConcurrency, GradientControllerConfig,
};
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::AdmissionControl;
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::admission_control::success_criteria::{
    GrpcCriteria, HttpCriteria,
};
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::admission_control::{
    EvaluationCriteria, SuccessCriteria,
};
use envoy_types::pb::envoy::r#type::v3::{HttpStatus, Int32Range, Percent};
use envoy_types::pb::google::protobuf::{self, BoolValue, UInt32Value};
use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::admission::{Config, Criteria};
use mesh_core::concurrency::{Gradient, Measured, MinRtt};
use mesh_core::filter::{Context, Factory, Filter, HeaderChanges, LocalResponse, Slot, Step};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::testing::{SequenceRng, at};
use prost::Message;

use super::adaptive_concurrency::gradient;
use super::admission_control::{config, success};
use super::{AdaptiveConcurrencyFactory, AdmissionControlFactory};
use crate::parse::Path;

fn millis(millis: i32) -> Option<protobuf::Duration> {
    Some(protobuf::Duration { seconds: 0, nanos: millis * 1_000_000 })
}

fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

fn percent(value: f64) -> Option<Percent> {
    Some(Percent { value })
}

fn controller() -> GradientControllerConfig {
    GradientControllerConfig {
        sample_aggregate_percentile: None,
        concurrency_limit_params: Some(ConcurrencyLimitCalculationParams {
            concurrency_update_interval: millis(100),
            ..ConcurrencyLimitCalculationParams::default()
        }),
        min_rtt_calc_params: Some(MinimumRttCalculationParams {
            interval: millis(500),
            ..MinimumRttCalculationParams::default()
        }),
    }
}

fn adaptive(controller: GradientControllerConfig) -> AdaptiveConcurrency {
    let controller = ConcurrencyControllerConfig::GradientControllerConfig(controller);
    AdaptiveConcurrency {
        concurrency_controller_config: Some(controller),
        ..AdaptiveConcurrency::default()
    }
}

fn admission() -> AdmissionControl {
    let criteria = EvaluationCriteria::SuccessCriteria(SuccessCriteria::default());
    AdmissionControl { evaluation_criteria: Some(criteria), ..AdmissionControl::default() }
}

/// What a filter says to a request; `None` if it passes.
fn ask(filter: &dyn Filter, slot: &mut Slot) -> Option<LocalResponse> {
    let (method, uri, headers) = (Method::GET, Uri::from_static("/"), HeaderMap::new());
    let mut context = Context {
        now: at(0),
        wall: 0,
        peer: None,
        connection: None,
        route: None,
        cluster: None,
        metadata: Metadata::default(),
        rng: &mut SequenceRng::new([0]),
        answer: None,
        body: None,
        changes: &mut HeaderChanges::default(),
    };
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    match filter.poll_request(slot, &head, &mut context) {
        Step::Continue => None,
        Step::Respond(local) => Some(local),
        step @ (Step::WaitUntil(_) | Step::WaitFor(..) | Step::Ask(_) | Step::Body { .. } | _) => {
            panic!("{step:?}")
        }
    }
}

#[test]
fn defaults_are_those_of_envoy() {
    let found = gradient(&controller(), &Path::root()).unwrap();
    let measured = Measured::every(Duration::from_millis(500));
    assert_eq!(found, Gradient::new(Duration::from_millis(100), MinRtt::Measured(measured)));
    assert_eq!(config(&admission(), &Path::root()), Ok(Config::default()));
    assert_eq!(success(&SuccessCriteria::default(), &Path::root()), Ok(Criteria::default()));
}

#[test]
fn every_field_of_the_controller_is_read() {
    let mut message = controller();
    message.sample_aggregate_percentile = percent(90.0);
    let limit = message.concurrency_limit_params.as_mut().unwrap();
    (limit.max_concurrency_limit, limit.min_concurrency_limit) = (number(70), number(7));
    let rtt = message.min_rtt_calc_params.as_mut().unwrap();
    (rtt.request_count, rtt.min_concurrency) = (number(9), number(4));
    (rtt.jitter, rtt.buffer) = (percent(5.0), percent(50.0));
    let found = gradient(&message, &Path::root()).unwrap();
    assert_eq!((found.percentile, found.buffer), (0.9, 0.5));
    assert_eq!((found.max, found.min, found.initial), (70, Some(7), 4));
    let MinRtt::Measured(measured) = found.min_rtt else { panic!("{found:?}") };
    assert_eq!((measured.requests, measured.jitter), (9, 0.05));
    let rtt = message.min_rtt_calc_params.as_mut().unwrap();
    (rtt.fixed_value, rtt.interval) = (millis(30), None);
    message.concurrency_limit_params.as_mut().unwrap().min_concurrency_limit = None;
    let found = gradient(&message, &Path::root()).unwrap();
    assert_eq!(found.min_rtt, MinRtt::Fixed(Duration::from_millis(30)));
    assert_eq!((found.min, found.initial), (None, 4));
}

#[test]
fn every_field_of_admission_control_is_read() {
    let flag = |value| RuntimePercent { default_value: percent(value), runtime_key: "x".into() };
    let message = AdmissionControl {
        sampling_window: Some(protobuf::Duration { seconds: 7, nanos: 0 }),
        aggression: Some(RuntimeDouble { default_value: 0.5, runtime_key: String::new() }),
        sr_threshold: Some(flag(70.0)),
        rps_threshold: Some(RuntimeUInt32 { default_value: 3, runtime_key: "y".into() }),
        max_rejection_probability: Some(flag(60.0)),
        ..admission()
    };
    let found = config(&message, &Path::root()).unwrap();
    assert_eq!((found.window.as_secs(), found.rps), (7, 3));
    assert_eq!((found.aggression, found.threshold, found.most), (1.0, 0.7, 0.6));
    let message = SuccessCriteria {
        http_criteria: Some(HttpCriteria {
            http_success_status: vec![Int32Range { start: 200, end: 300 }],
        }),
        grpc_criteria: Some(GrpcCriteria { grpc_success_status: vec![0, 5] }),
    };
    let expect = Criteria::default().http(std::iter::once(200..300)).grpc([0, 5]);
    assert_eq!(success(&message, &Path::root()), Ok(expect));
}

#[test]
fn controllers_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut AdaptiveConcurrency, &mut GradientControllerConfig)| {
        let (mut message, mut inner) = (AdaptiveConcurrency::default(), controller());
        change(&mut message, &mut inner);
        message.concurrency_controller_config = adaptive(inner).concurrency_controller_config;
        AdaptiveConcurrencyFactory.parse(&message.encode_to_vec()).err().unwrap()
    };
    fn limit(it: &mut GradientControllerConfig) -> &mut ConcurrencyLimitCalculationParams {
        it.concurrency_limit_params.as_mut().unwrap()
    }
    fn rtt(it: &mut GradientControllerConfig) -> &mut MinimumRttCalculationParams {
        it.min_rtt_calc_params.as_mut().unwrap()
    }
    for (seen, why) in [
        (
            refused(|_, it| it.concurrency_limit_params = None),
            "concurrency_limit_params: is required",
        ),
        (refused(|_, it| it.min_rtt_calc_params = None), "min_rtt_calc_params: is required"),
        (
            refused(|_, it| it.sample_aggregate_percentile = percent(101.0)),
            "sample_aggregate_percentile: is not in 0 to 100",
        ),
        (
            refused(|_, it| limit(it).concurrency_update_interval = None),
            "concurrency_limit_params.concurrency_update_interval: is required",
        ),
        (
            refused(|_, it| limit(it).concurrency_update_interval = millis(0)),
            "concurrency_limit_params.concurrency_update_interval: is 0",
        ),
        (
            refused(|_, it| limit(it).max_concurrency_limit = number(0)),
            "concurrency_limit_params.max_concurrency_limit: is 0",
        ),
        (
            refused(|_, it| limit(it).min_concurrency_limit = number(0)),
            "concurrency_limit_params.min_concurrency_limit: is 0",
        ),
        (
            refused(|_, it| rtt(it).interval = None),
            "min_rtt_calc_params: has neither interval nor fixed_value",
        ),
        (
            refused(|_, it| rtt(it).interval.as_mut().unwrap().nanos = 999_999),
            "min_rtt_calc_params.interval: is below 1 ms",
        ),
        (refused(|_, it| rtt(it).fixed_value = millis(0)), "min_rtt_calc_params.fixed_value: is 0"),
        (
            refused(|_, it| rtt(it).request_count = number(0)),
            "min_rtt_calc_params.request_count: is 0",
        ),
        (
            refused(|_, it| rtt(it).min_concurrency = number(0)),
            "min_rtt_calc_params.min_concurrency: is 0",
        ),
        (
            refused(|_, it| rtt(it).jitter = percent(f64::NAN)),
            "min_rtt_calc_params.jitter: is not in 0 to 100",
        ),
        (
            refused(|_, it| rtt(it).buffer = percent(-1.0)),
            "min_rtt_calc_params.buffer: is not in 0 to 100",
        ),
    ] {
        assert_eq!(seen, format!("gradient_controller_config.{why}"));
    }
    for (seen, why) in [
        (
            refused(|it, _| it.enabled = Some(RuntimeFeatureFlag::default())),
            "enabled.default_value: is required",
        ),
        (
            refused(|it, _| it.concurrency_limit_exceeded_status = Some(HttpStatus { code: 999 })),
            "concurrency_limit_exceeded_status.code: is no status",
        ),
        (
            refused(|it, _| it.concurrency_limit_exceeded_status = Some(HttpStatus { code: 0 })),
            "concurrency_limit_exceeded_status.code: is no status",
        ),
    ] {
        assert_eq!(seen, why);
    }
    let nothing = AdaptiveConcurrency::default().encode_to_vec();
    let why = AdaptiveConcurrencyFactory.parse(&nothing).err();
    assert_eq!(why.as_deref(), Some("gradient_controller_config: is required"));
    let why = AdaptiveConcurrencyFactory.parse_override(&nothing).err();
    assert_eq!(why.as_deref(), Some("has no configuration for routes"));
}

#[test]
fn admission_control_that_makes_no_sense_is_refused() {
    let refused = |change: fn(&mut AdmissionControl)| {
        let mut message = admission();
        change(&mut message);
        AdmissionControlFactory.parse(&message.encode_to_vec()).err().unwrap()
    };
    fn flag(value: f64) -> Option<RuntimePercent> {
        Some(RuntimePercent { default_value: percent(value), runtime_key: String::new() })
    }
    fn criteria(
        http: Option<Vec<(i32, i32)>>,
        grpc: Option<Vec<u32>>,
    ) -> Option<EvaluationCriteria> {
        let range = |(start, end)| Int32Range { start, end };
        Some(EvaluationCriteria::SuccessCriteria(SuccessCriteria {
            http_criteria: http.map(|all| HttpCriteria {
                http_success_status: all.into_iter().map(range).collect(),
            }),
            grpc_criteria: grpc.map(|grpc_success_status| GrpcCriteria { grpc_success_status }),
        }))
    }
    const HTTP: &str = "success_criteria.http_criteria.http_success_status";
    const GRPC: &str = "success_criteria.grpc_criteria.grpc_success_status";
    for (seen, why) in [
        (refused(|it| it.evaluation_criteria = None), "success_criteria: is required".into()),
        (
            refused(|it| it.evaluation_criteria = criteria(Some(vec![]), None)),
            format!("{HTTP}: is empty"),
        ),
        (
            refused(|it| {
                it.evaluation_criteria = criteria(Some(vec![(200, 300), (99, 200)]), None)
            }),
            format!("{HTTP}[1]: is no range in 100 to 600"),
        ),
        (
            refused(|it| it.evaluation_criteria = criteria(Some(vec![(300, 300)]), None)),
            format!("{HTTP}[0]: is no range in 100 to 600"),
        ),
        (
            refused(|it| it.evaluation_criteria = criteria(Some(vec![(300, 601)]), None)),
            format!("{HTTP}[0]: is no range in 100 to 600"),
        ),
        (
            refused(|it| it.evaluation_criteria = criteria(None, Some(vec![]))),
            format!("{GRPC}: is empty"),
        ),
        (
            refused(|it| it.evaluation_criteria = criteria(None, Some(vec![16, 17]))),
            format!("{GRPC}[1]: is above 16"),
        ),
        (
            refused(|it| it.sr_threshold = flag(0.9)),
            "sr_threshold.default_value: is below 1".into(),
        ),
        (
            refused(|it| it.sr_threshold = flag(100.1)),
            "sr_threshold.default_value: is not in 0 to 100".into(),
        ),
        (
            refused(|it| it.max_rejection_probability = flag(-0.1)),
            "max_rejection_probability.default_value: is not in 0 to 100".into(),
        ),
        (
            refused(|it| {
                it.aggression =
                    Some(RuntimeDouble { default_value: f64::NAN, runtime_key: String::new() })
            }),
            "aggression.default_value: is no number".into(),
        ),
        (
            refused(|it| it.sampling_window = Some(protobuf::Duration { seconds: -1, nanos: 0 })),
            "sampling_window: is negative".into(),
        ),
        (
            refused(|it| it.enabled = Some(RuntimeFeatureFlag::default())),
            "enabled.default_value: is required".into(),
        ),
    ] {
        assert_eq!(seen, why);
    }
    let why = AdmissionControlFactory.parse_override(&[]).err();
    assert_eq!(why.as_deref(), Some("has no configuration for routes"));
}

#[test]
fn routes_share_what_their_listener_has_learned() {
    let mut controller = controller();
    controller.min_rtt_calc_params.as_mut().unwrap().min_concurrency = number(1);
    for (code, status) in [(None, 503), (Some(429), 429), (Some(200), 503)] {
        let mut message = adaptive(controller);
        message.concurrency_limit_exceeded_status = code.map(|code| HttpStatus { code });
        let factory = AdaptiveConcurrencyFactory;
        let settings = factory.parse(&message.encode_to_vec()).unwrap();
        let (one, other) = (factory.build(&settings, &[]), factory.build(&settings, &[]));
        assert_eq!(ask(&*one, &mut Slot::default()), None);
        let refused = ask(&*other, &mut Slot::default()).unwrap();
        assert_eq!(refused.status, StatusCode::from_u16(status).unwrap());
    }
    let factory = AdmissionControlFactory;
    let settings = factory.parse(&admission().encode_to_vec()).unwrap();
    let (one, other) = (factory.build(&settings, &[]), factory.build(&settings, &[]));
    let mut slot = Slot::default();
    assert_eq!(ask(&*one, &mut slot), None);
    one.on_end(&mut slot, mesh_core::filter::End::Failed, at(0));
    // One of two, which is more probable than the 0 that is drawn.
    assert_eq!(ask(&*other, &mut Slot::default()).unwrap().status.as_u16(), 503);
}

#[test]
fn what_is_not_enabled_lets_everything_pass() {
    let off = RuntimeFeatureFlag {
        default_value: Some(BoolValue { value: false }),
        runtime_key: "off".into(),
    };
    let mut controller = controller();
    controller.min_rtt_calc_params.as_mut().unwrap().min_concurrency = number(1);
    let message = AdaptiveConcurrency { enabled: Some(off), ..adaptive(controller) };
    let factory = AdaptiveConcurrencyFactory;
    let filter = factory.build(&factory.parse(&message.encode_to_vec()).unwrap(), &[]);
    for _ in 0..5 {
        assert_eq!(ask(&*filter, &mut Slot::default()), None);
    }
}
