//! Configurations, and requests on their way.

use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, RuntimeFractionalPercent,
};
use envoy_types::pb::envoy::config::route::v3::RateLimit;
use envoy_types::pb::envoy::config::route::v3::rate_limit::Action;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action::{
    ActionSpecifier, GenericKey, RequestHeaders,
};
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::LocalRateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, TokenBucket};
use envoy_types::pb::google::protobuf::{Duration, UInt32Value};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use mesh_core::filter::{
    ConnectionMemory, Context, Factory, Filter, HeaderChanges, LocalResponse, Slot, Step,
};
use mesh_core::matcher::PathMatcher;
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::route::{Action as RouteAction, Route, RouteMatch};
use prost::Message;

use crate::parse::limit::LocalRateLimitFactory;

pub(super) fn share(numerator: u32) -> Option<RuntimeFractionalPercent> {
    let default_value = Some(FractionalPercent { numerator, denominator: 0 });
    Some(RuntimeFractionalPercent { default_value, ..RuntimeFractionalPercent::default() })
}

/// A bucket of `max_tokens` that gets one a second.
pub(super) fn bucket(max_tokens: u32) -> Option<TokenBucket> {
    let fill_interval = Some(Duration { seconds: 1, nanos: 0 });
    Some(TokenBucket { max_tokens, tokens_per_fill: None, fill_interval })
}

/// Limits all requests to `max_tokens`.
pub(super) fn limit(max_tokens: u32) -> LocalRateLimit {
    LocalRateLimit {
        stat_prefix: "l".into(),
        token_bucket: bucket(max_tokens),
        filter_enabled: share(100),
        filter_enforced: share(100),
        ..LocalRateLimit::default()
    }
}

pub(super) fn described(entries: &[(&str, &str)], max_tokens: u32) -> LocalRateLimitDescriptor {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
    LocalRateLimitDescriptor {
        entries: entries.iter().map(entry).collect(),
        token_bucket: bucket(max_tokens),
        shadow_mode: false,
    }
}

pub(super) fn rule(actions: Vec<ActionSpecifier>) -> RateLimit {
    let action = |specifier| Action { action_specifier: Some(specifier) };
    RateLimit { actions: actions.into_iter().map(action).collect(), ..RateLimit::default() }
}

/// An entry with the value of `x-user`.
pub(super) fn user() -> ActionSpecifier {
    ActionSpecifier::RequestHeaders(RequestHeaders {
        header_name: "x-user".into(),
        descriptor_key: "user".into(),
        skip_if_absent: false,
    })
}

pub(super) fn generic(value: &str) -> ActionSpecifier {
    ActionSpecifier::GenericKey(GenericKey {
        descriptor_value: value.into(),
        ..GenericKey::default()
    })
}

pub(super) fn field(key: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: key.into(), value: value.into(), ..HeaderValue::default() };
    HeaderValueOption { header: Some(header), ..HeaderValueOption::default() }
}

pub(super) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

/// A filter, and what its requests meet.
pub(super) struct Kit {
    pub(super) filter: Arc<dyn Filter>,
    pub(super) route: Route,
    pub(super) connection: ConnectionMemory,
    pub(super) now: Instant,
    rng: XorShift,
}

/// What becomes of a request that passes.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) request: HeaderMap,
    pub(super) response: HeaderMap,
}

impl Kit {
    pub(super) fn new(message: &LocalRateLimit) -> Self {
        let factory = LocalRateLimitFactory::default();
        Self::of(factory.build(&factory.parse(&message.encode_to_vec()).unwrap(), &[]))
    }

    pub(super) fn of(filter: Arc<dyn Filter>) -> Self {
        let matcher = RouteMatch::new(PathMatcher::prefix("/"));
        Self {
            filter,
            route: Route::new(matcher, RouteAction::NonForwarding),
            connection: ConnectionMemory::default(),
            now: mesh_core::testing::at(1),
            rng: XorShift::new(1),
        }
    }

    pub(super) fn send(
        &mut self,
        sent: &[(&'static str, &str)],
    ) -> Result<Passed, Box<LocalResponse>> {
        let (method, uri) = (Method::GET, Uri::from_static("/"));
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let mut request: HeaderMap = sent.iter().map(field).collect();
        let (mut slot, mut changes) = (Slot::Empty, HeaderChanges::default());
        let mut context = Context {
            now: self.now,
            wall: 0,
            peer: None,
            connection: Some(&self.connection),
            route: Some(&self.route),
            cluster: Some("greeter"),
            metadata: Metadata::default(),
            rng: &mut self.rng,
            answer: None,
            body: None,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&method, &uri, &request, "host");
        let step = self.filter.poll_request(&mut slot, &head, &mut context);
        changes.apply(&mut request);
        if let Step::Respond(local) = step {
            return Err(Box::new(local));
        }
        assert!(matches!(step, Step::Continue), "waits: {step:?}");
        let mut response = HeaderMap::new();
        self.filter.on_response(&mut slot, StatusCode::OK, &mut response);
        Ok(Passed { request, response })
    }

    /// How many of `count` requests pass.
    pub(super) fn passing(&mut self, count: usize, sent: &[(&'static str, &str)]) -> usize {
        (0..count).filter(|_| self.send(sent).is_ok()).count()
    }
}
