//! Limits that a service keeps.

use std::sync::Arc;
use std::time::Duration as Time;

use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::{GrpcService, HeaderValue};
use envoy_types::pb::envoy::config::ratelimit::v3::RateLimitServiceConfig;
use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3::{
    RateLimit, RateLimitPerRoute,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit as Known,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::Duration;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use mesh_core::filter::{Context, Factory, Filter, HeaderChanges, LocalResponse, Slot, Step};
use mesh_core::limit::{Action, Entry, Hits, LimitSource, Override, Rule, Unit as Per};
use mesh_core::matcher::PathMatcher;
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::route::{Action as RouteAction, Route, RouteMatch};
use mesh_core::side::{Call, Encoding, Failure, Reply};
use mesh_core::testing::at;
use prost::Message;

use super::kit::{field, generic, rule, share};
use crate::parse::limit::RateLimitFactory;

fn asking() -> RateLimit {
    let envoy = EnvoyGrpc { cluster_name: "limiter".into(), ..EnvoyGrpc::default() };
    let service = GrpcService {
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(envoy)),
        ..GrpcService::default()
    };
    let config = RateLimitServiceConfig { grpc_service: Some(service), transport_api_version: 2 };
    RateLimit {
        domain: "shop".into(),
        rate_limit_service: Some(config),
        rate_limits: vec![rule(vec![generic("a")])],
        ..RateLimit::default()
    }
}

fn filter(message: &RateLimit, own: Option<&RateLimitPerRoute>) -> Arc<dyn Filter> {
    let factory = RateLimitFactory::default();
    let base = factory.parse(&message.encode_to_vec()).unwrap();
    assert_eq!(factory.clusters(&base), ["limiter".into()]);
    let own = own.map(|own| factory.parse_override(&own.encode_to_vec()).unwrap());
    factory.build(&base, own.as_slice())
}

/// A request on its way.
struct Way {
    headers: HeaderMap,
    metadata: Metadata,
    slot: Slot,
    route: Route,
}

impl Way {
    fn new(headers: &[(&'static str, &str)]) -> Self {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let matcher = RouteMatch::new(PathMatcher::prefix("/"));
        Self {
            headers: headers.iter().map(field).collect(),
            metadata: Metadata::default(),
            slot: Slot::Empty,
            route: Route::new(matcher, RouteAction::NonForwarding),
        }
    }

    fn poll(&mut self, filter: &dyn Filter, answer: Option<Result<Reply, Failure>>) -> Step {
        let (method, uri) = (Method::GET, Uri::from_static("/"));
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let mut context = Context {
            now: at(0),
            wall: 0,
            peer: None,
            connection: None,
            route: Some(&self.route),
            cluster: Some("greeter"),
            metadata: std::mem::take(&mut self.metadata),
            rng: &mut rng,
            answer,
            body: None,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&method, &uri, &self.headers, "host");
        let step = filter.poll_request(&mut self.slot, &head, &mut context);
        self.metadata = context.metadata;
        changes.apply(&mut self.headers);
        step
    }

    fn call(&mut self, filter: &dyn Filter) -> Option<Call> {
        let step = self.poll(filter, None);
        if let Step::Ask(call) = step {
            return Some(*call);
        }
        assert!(matches!(step, Step::Continue), "neither asks nor passes: {step:?}");
        None
    }

    /// The response's header fields, or the answer that is given instead.
    fn after(
        &mut self,
        filter: &dyn Filter,
        answer: Result<Reply, Failure>,
    ) -> Result<HeaderMap, Box<LocalResponse>> {
        let step = self.poll(filter, Some(answer));
        if let Step::Respond(local) = step {
            return Err(Box::new(local));
        }
        assert!(matches!(step, Step::Continue), "waits: {step:?}");
        let mut headers = HeaderMap::new();
        filter.on_response(&mut self.slot, StatusCode::OK, &mut headers);
        Ok(headers)
    }
}

fn said(message: &RateLimitResponse) -> Result<Reply, Failure> {
    let message = message.encode_to_vec().into();
    Ok(Reply { status: StatusCode::OK, headers: HeaderMap::new(), message })
}

fn answers(code: Code) -> RateLimitResponse {
    RateLimitResponse { overall_code: code.into(), ..RateLimitResponse::default() }
}

fn own(stage: u32, key: &str) -> Rule {
    Rule { stage, actions: vec![Action::Fixed(Entry::new(&"k".into(), key))], ..Rule::default() }
}

/// The keys and values of what a request counts as.
fn counted(call: Option<Call>) -> Vec<String> {
    let Some(call) = call else { return Vec::new() };
    let request = RateLimitRequest::decode(call.message).unwrap();
    let entries = request.descriptors.iter().flat_map(|it| &it.entries);
    entries.map(|entry| format!("{}={}", entry.key, entry.value)).collect()
}

#[test]
fn the_service_is_asked_by_the_routes_rules_of_the_stage() {
    let message = RateLimit { stage: 2, rate_limits: Vec::new(), ..asking() };
    let filter = filter(&message, None);
    let mut way = Way::new(&[]);
    assert!(way.call(&*filter).is_none(), "nothing to ask about");
    let special = Rule {
        limit: Some(LimitSource::Fixed(Override { requests: 5, unit: Per::Minute })),
        hits: Some(Hits::Fixed(3)),
        ..own(2, "special")
    };
    way.route.limits.own = [own(0, "other"), special].into();
    let call = way.call(&*filter).unwrap();
    assert_eq!((&*call.cluster, call.encoding.clone()), ("limiter", Encoding::Grpc));
    assert_eq!(&*call.path, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
    assert_eq!(call.timeout, Time::from_millis(20));
    let request = RateLimitRequest::decode(call.message).unwrap();
    assert_eq!((&*request.domain, request.hits_addend, request.descriptors.len()), ("shop", 0, 1));
    let descriptor = &request.descriptors[0];
    assert_eq!((&*descriptor.entries[0].key, &*descriptor.entries[0].value), ("k", "special"));
    let limit = descriptor.limit.unwrap();
    assert_eq!((limit.requests_per_unit, limit.unit), (5, 2));
    assert_eq!(descriptor.hits_addend.unwrap().value, 3);
}

#[test]
fn the_more_special_rules_take_the_place_of_the_others() {
    let host =
        |vh_rate_limits| RateLimitPerRoute { vh_rate_limits, ..RateLimitPerRoute::default() };
    let none = RateLimit { rate_limits: Vec::new(), ..asking() };
    let named = RateLimitPerRoute {
        rate_limits: vec![rule(vec![generic("route")])],
        domain: "own".into(),
        ..RateLimitPerRoute::default()
    };
    for (message, per_route, has_own, expect) in [
        (&asking(), None, true, vec!["generic_key=a"]),
        (&asking(), Some(&named), true, vec!["generic_key=route"]),
        (&none, None, true, vec!["k=own"]),
        (&none, None, false, vec!["k=host"]),
        (&none, Some(&host(1)), true, vec!["k=own", "k=host"]),
        (&none, Some(&host(2)), false, vec![]),
    ] {
        let mut way = Way::new(&[]);
        if has_own {
            way.route.limits.own = [own(0, "own")].into();
        }
        way.route.limits.virtual_host = [own(0, "host")].into();
        assert_eq!(counted(way.call(&*filter(message, per_route))), expect);
    }
    let call = Way::new(&[]).call(&*filter(&asking(), Some(&named))).unwrap();
    assert_eq!(RateLimitRequest::decode(call.message).unwrap().domain, "own");
}

#[test]
fn requests_pass_changed_as_the_service_says() {
    let message = RateLimit { enable_x_ratelimit_headers: 1, ..asking() };
    let filter = filter(&message, None);
    let value = |key: &str, value: &str| HeaderValue {
        key: key.into(),
        value: value.into(),
        ..HeaderValue::default()
    };
    let status = |limit: Option<(u32, Unit, &str)>, limit_remaining, seconds| DescriptorStatus {
        code: Code::Ok.into(),
        current_limit: limit.map(|(requests_per_unit, unit, name)| Known {
            name: name.into(),
            requests_per_unit,
            unit: unit.into(),
        }),
        limit_remaining,
        duration_until_reset: Some(Duration { seconds, nanos: 0 }),
        quota: None,
    };
    let answer = RateLimitResponse {
        statuses: vec![
            status(None, 0, 1),
            status(Some((10, Unit::Second, "per-ip")), 4, 1),
            status(Some((1_000, Unit::Hour, "")), 3, 600),
        ],
        request_headers_to_add: vec![value("x-plan", "gold"), value("host", "evil")],
        response_headers_to_add: vec![value("x-seen", "yes"), value("transfer-encoding", "x")],
        ..answers(Code::Ok)
    };
    let mut way = Way::new(&[("x-plan", "own")]);
    way.call(&*filter).unwrap();
    let headers = way.after(&*filter, said(&answer)).unwrap();
    let plans: Vec<_> =
        way.headers.get_all("x-plan").iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!((plans, way.headers.contains_key("host")), (vec!["own", "gold"], false));
    assert_eq!((&headers["x-seen"], headers.len()), (&"yes".parse().unwrap(), 4));
    assert_eq!(headers["x-ratelimit-limit"], "1000, 10;w=1;name=\"per-ip\", 1000;w=3600");
    assert_eq!(
        (&headers["x-ratelimit-remaining"], &headers["x-ratelimit-reset"]),
        (&"3".parse().unwrap(), &"600".parse().unwrap(),)
    );
}

#[test]
fn requests_over_the_limit_are_answered() {
    let over = RateLimitResponse { raw_body: b"slow down".to_vec(), ..answers(Code::OverLimit) };
    let mut message = RateLimit {
        response_headers_to_add: vec![field("x-why", "limit")],
        enable_retry_after_header: true,
        ..asking()
    };
    let refused = |message: &RateLimit, answer: &RateLimitResponse| {
        let filter = filter(message, None);
        Way::new(&[]).after(&*filter, said(answer)).unwrap_err()
    };
    let refusal = refused(&message, &over);
    assert_eq!(
        (refusal.status.as_u16(), refusal.grpc, &*refusal.body),
        (429, 14, &b"slow down"[..])
    );
    assert_eq!(refusal.headers["x-envoy-ratelimited"], "true");
    assert_eq!(refusal.headers["x-why"], "limit");
    assert!(!refusal.headers.contains_key("retry-after"), "no limit is known to be reached");
    let reached = |seconds, nanos| DescriptorStatus {
        code: Code::OverLimit.into(),
        duration_until_reset: Some(Duration { seconds, nanos }),
        ..DescriptorStatus::default()
    };
    let statuses = vec![reached(0, 0), reached(6, 1)];
    let refusal = refused(&message, &RateLimitResponse { statuses, ..over.clone() });
    assert_eq!(refusal.headers["retry-after"], "7");
    message.disable_x_envoy_ratelimited_header = true;
    message.rate_limited_as_resource_exhausted = true;
    message.rate_limited_status = Some(HttpStatus { code: 503 });
    let refusal = refused(&message, &over);
    assert_eq!((refusal.status.as_u16(), refusal.grpc), (503, 8));
    assert!(!refusal.headers.contains_key("x-envoy-ratelimited"));
    message.filter_enforced = share(0);
    let filter = filter(&message, None);
    assert!(Way::new(&[]).after(&*filter, said(&over)).is_ok(), "counted only");
}

#[test]
fn without_an_answer_requests_pass_unless_they_are_to_be_denied() {
    let failures = || {
        [
            Err(Failure::Timeout(Time::from_millis(20))),
            Err(Failure::NoCluster("limiter".into())),
            said(&answers(Code::Unknown)),
            Ok(Reply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                message: "\u{1}x".into(),
            }),
        ]
    };
    let mut message = asking();
    let open = filter(&message, None);
    message.failure_mode_deny = true;
    let closed = filter(&message, None);
    message.status_on_error = Some(HttpStatus { code: 503 });
    let chosen = filter(&message, None);
    message.failure_mode_deny_percent = share(0);
    let chance = filter(&message, None);
    for failure in failures() {
        assert!(Way::new(&[]).after(&*open, failure.clone()).is_ok());
        assert!(Way::new(&[]).after(&*chance, failure.clone()).is_ok());
        let denied = Way::new(&[]).after(&*closed, failure.clone()).unwrap_err();
        assert_eq!((denied.status.as_u16(), denied.grpc), (500, 2));
        let denied = Way::new(&[]).after(&*chosen, failure).unwrap_err();
        assert_eq!((denied.status.as_u16(), denied.grpc), (503, 14));
    }
}

#[test]
fn only_requests_of_the_kind_and_the_share_are_asked_about() {
    let internal = [("x-envoy-internal", "true")];
    for (kind, from_within, from_outside) in [
        ("", true, true),
        ("both", true, true),
        ("internal", true, false),
        ("external", false, true),
    ] {
        let filter = filter(&RateLimit { request_type: kind.into(), ..asking() }, None);
        assert_eq!(Way::new(&internal).call(&*filter).is_some(), from_within, "{kind}");
        assert_eq!(Way::new(&[]).call(&*filter).is_some(), from_outside, "{kind}");
    }
    let off = filter(&RateLimit { filter_enabled: share(0), ..asking() }, None);
    assert!(Way::new(&[]).call(&*off).is_none());
    let patient = RateLimit { timeout: Some(Duration::default()), ..asking() };
    let call = Way::new(&[]).call(&*filter(&patient, None)).unwrap();
    assert_eq!(call.timeout, Time::MAX);
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_place() {
    let refused = |message: &RateLimit| {
        RateLimitFactory::default().parse(&message.encode_to_vec()).err().unwrap()
    };
    let mut elsewhere = asking();
    elsewhere.rate_limit_service.as_mut().unwrap().transport_api_version = 1;
    let mut nowhere = asking();
    nowhere.rate_limit_service.as_mut().unwrap().grpc_service = None;
    for (message, why) in [
        (RateLimit { domain: String::new(), ..asking() }, "domain: is empty"),
        (RateLimit { stage: 11, ..asking() }, "stage: is above 10"),
        (RateLimit { rate_limit_service: None, ..asking() }, "rate_limit_service: is required"),
        (elsewhere, "rate_limit_service.transport_api_version: is not V3"),
        (nowhere, "rate_limit_service.grpc_service: is required"),
        (
            RateLimit { request_type: "all".into(), ..asking() },
            "request_type: is none of internal, external and both",
        ),
        (
            RateLimit { status_on_error: Some(HttpStatus { code: 100 }), ..asking() },
            "status_on_error.code: is not in 200 to 599",
        ),
        (
            RateLimit { enable_x_ratelimit_headers: 7, ..asking() },
            "enable_x_ratelimit_headers: is unknown",
        ),
    ] {
        assert_eq!(refused(&message), why);
    }
    let own = |message: &RateLimitPerRoute| {
        RateLimitFactory::default().parse_override(&message.encode_to_vec()).err().unwrap()
    };
    let base = RateLimitPerRoute::default;
    let unknown = RateLimitPerRoute { vh_rate_limits: 7, ..base() };
    assert_eq!(own(&unknown), "vh_rate_limits: is unknown");
    let hidden = RateLimitPerRoute { override_option: 1, ..base() };
    assert_eq!(own(&hidden), "override_option: is not supported");
}
