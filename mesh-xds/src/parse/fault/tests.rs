//! Faults by their configuration.

use std::num::NonZeroU64;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::HeaderDelay;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_rate_limit::{
    FixedLimit, HeaderLimit,
};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::HeaderAbort;
use envoy_types::pb::google::protobuf::{Duration as Time, UInt32Value};

use super::*;

fn share(numerator: u32, denominator: i32) -> Option<FractionalPercent> {
    Some(FractionalPercent { numerator, denominator })
}

fn aborts(error_type: Option<ErrorType>) -> HttpFault {
    let abort = FaultAbort { percentage: share(5, 0), error_type, ..FaultAbort::default() };
    HttpFault { abort: Some(abort), ..HttpFault::default() }
}

fn delays(fault_delay_secifier: Option<FaultDelaySecifier>) -> HttpFault {
    let delay = FaultDelay { percentage: share(5, 1), fault_delay_secifier };
    HttpFault { delay: Some(delay), ..HttpFault::default() }
}

fn throttles(limit_type: Option<LimitType>) -> HttpFault {
    let limit = FaultRateLimit { percentage: share(5, 2), limit_type };
    HttpFault { response_rate_limit: Some(limit), ..HttpFault::default() }
}

fn parsed(message: &HttpFault) -> Result<Arc<Fault>, String> {
    let settings = FaultFactory::default().parse(&message.encode_to_vec())?;
    Ok(settings.downcast::<Fault>().unwrap())
}

fn seconds(seconds: i64) -> Option<FaultDelaySecifier> {
    Some(FaultDelaySecifier::FixedDelay(Time { seconds, nanos: 0 }))
}

#[test]
fn every_field_is_read() {
    let message = HttpFault {
        upstream_cluster: "greeter".into(),
        downstream_nodes: vec!["a".into()],
        max_active_faults: Some(UInt32Value { value: 7 }),
        ..aborts(Some(ErrorType::HttpStatus(503)))
    };
    let fault = parsed(&message).unwrap();
    let abort = fault.abort.as_ref().unwrap();
    assert_eq!(abort.kind, AbortKind::Http(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(
        (&*abort.body, abort.percentage.fraction().numerator()),
        (&b"fault filter abort"[..], 50_000)
    );
    assert_eq!((fault.upstream_cluster.as_deref(), fault.max_active), (Some("greeter"), Some(7)));
    assert_eq!(fault.downstream_nodes, ["a".into()].into());
    for (code, expect) in [(0, 0), (16, 16), (17, 2), (300, 2)] {
        let fault = parsed(&aborts(Some(ErrorType::GrpcStatus(code)))).unwrap();
        assert_eq!(fault.abort.as_ref().unwrap().kind, AbortKind::Grpc(expect));
    }
    let fault = parsed(&aborts(Some(ErrorType::HeaderAbort(HeaderAbort {})))).unwrap();
    assert_eq!(fault.abort.as_ref().unwrap().kind, AbortKind::Header);
    let delay = parsed(&delays(seconds(2))).unwrap().delay.unwrap();
    assert_eq!(delay.kind, DelayKind::Fixed(Duration::from_secs(2)));
    assert_eq!(delay.percentage.fraction().numerator(), 500);
    let header = FaultDelaySecifier::HeaderDelay(HeaderDelay {});
    assert_eq!(parsed(&delays(Some(header))).unwrap().delay.unwrap().kind, DelayKind::Header);
    let fixed = LimitType::FixedLimit(FixedLimit { limit_kbps: 3 });
    let throttle = parsed(&throttles(Some(fixed))).unwrap().throttle.unwrap();
    assert_eq!(throttle.kind, ThrottleKind::Fixed(NonZeroU64::new(3).unwrap()));
    assert_eq!(throttle.percentage.fraction().numerator(), 5);
    let header = LimitType::HeaderLimit(HeaderLimit {});
    let throttle = parsed(&throttles(Some(header))).unwrap().throttle.unwrap();
    assert_eq!(throttle.kind, ThrottleKind::Header);
    assert_eq!(*parsed(&HttpFault::default()).unwrap(), Fault::default());
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    let zero = LimitType::FixedLimit(FixedLimit { limit_kbps: 0 });
    let mut unknown = aborts(Some(ErrorType::GrpcStatus(1)));
    unknown.abort.as_mut().unwrap().percentage = share(1, 9);
    for (message, why) in [
        (aborts(None), "abort: has no error_type that is known"),
        (aborts(Some(ErrorType::HttpStatus(100))), "abort.http_status: is not in 200 to 599"),
        (aborts(Some(ErrorType::HttpStatus(600))), "abort.http_status: is not in 200 to 599"),
        (unknown, "abort.percentage.denominator: is unknown"),
        (delays(None), "delay: has neither fixed_delay nor header_delay"),
        (delays(seconds(0)), "delay.fixed_delay: is 0"),
        (delays(seconds(-1)), "delay.fixed_delay: is negative"),
        (throttles(None), "response_rate_limit: has neither fixed_limit nor header_limit"),
        (throttles(Some(zero)), "response_rate_limit.fixed_limit.limit_kbps: is 0"),
    ] {
        assert_eq!(parsed(&message).unwrap_err(), why);
    }
}
