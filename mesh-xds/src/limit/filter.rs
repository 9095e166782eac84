//! The filter that keeps the limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mesh_core::filter::{Context, Filter, LocalResponse, Slot, Step};
use mesh_core::limit::{Descriptor, Facts, Fill, Rule, VirtualHostRules};
use mesh_core::matcher::Fraction;
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::route::FieldChanges;

use super::{Counted, Described, Limiter};

/// What a `LocalRateLimit` configures.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The limit of requests without a limit of their own (`token_bucket`).
    pub(crate) default: Option<Fill>,
    /// `descriptors`.
    pub(crate) described: Vec<Described>,
    /// Buckets of a descriptor with open values at the most (`max_dynamic_descriptors`).
    pub(crate) most: usize,
    /// `always_consume_default_token_bucket`.
    pub(crate) always_default: bool,
    /// The buckets that all connections share.
    pub(crate) shared: Limiter,
    /// Whether each connection has buckets of its own.
    pub(crate) per_connection: bool,
    /// The share of requests that is counted (`filter_enabled`).
    pub(crate) enabled: Fraction,
    /// The share of those over the limit that is refused (`filter_enforced`).
    pub(crate) enforced: Fraction,
    /// 429, or another from 400 on.
    pub(crate) status: StatusCode,
    /// What gRPC callers get.
    pub(crate) grpc: u8,
    /// Which of the route's rules count, if there are none here.
    pub(crate) stage: u32,
    pub(crate) virtual_host: VirtualHostRules,
    /// What requests are counted as; if there are none, the route says so.
    pub(crate) rules: Vec<Rule>,
    /// Whether responses say how much is left.
    pub(crate) tells_rest: bool,
    /// Whether refusals say when to come again.
    pub(crate) tells_wait: bool,
    /// `response_headers_to_add`.
    pub(crate) response: FieldChanges,
    /// `request_headers_to_add_when_not_enforced`.
    pub(crate) request: FieldChanges,
}

impl Settings {
    /// Buckets, all of them full.
    pub(crate) fn limiter(&self) -> Limiter {
        Limiter::new(self.default, &self.described, self.most).always_default(self.always_default)
    }

    fn descriptors(&self, head: &RequestHead<'_>, context: &Context<'_>) -> Vec<Descriptor> {
        let none = Metadata::default();
        let facts = Facts {
            head,
            peer: context.peer,
            cluster: context.cluster,
            metadata: &context.metadata,
            route: context.route.map_or(&none, |route| &route.metadata),
        };
        if !self.rules.is_empty() {
            return self.rules.iter().filter_map(|rule| rule.descriptor(&facts)).collect();
        }
        let Some(route) = context.route else { return Vec::new() };
        let rules = route.limits.of_stage(self.stage, self.virtual_host);
        let rules = rules.filter(|rule| !rule.has_disable_key);
        rules.filter_map(|rule| rule.descriptor(&facts)).collect()
    }
}

/// Lets as many requests pass as their buckets hold tokens. Others are answered with 429 and
/// `local_rate_limited`.
#[derive(Debug)]
pub(crate) struct LocalLimit {
    /// `None` is a configuration that is not understood, which the parser does not make.
    pub(crate) settings: Option<Arc<Settings>>,
}

impl Filter for LocalLimit {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let Some(settings) = &self.settings else { return Step::Continue };
        if !settings.enabled.decide(context.rng) {
            return Step::Continue;
        }
        let own = context.connection.filter(|_| settings.per_connection);
        let own = own.map(|memory| memory.of(settings, || settings.limiter()));
        let limiter = own.as_deref().unwrap_or(&settings.shared);
        let descriptors = match limiter.has_descriptors() {
            true => settings.descriptors(head, context),
            false => Vec::new(),
        };
        let verdict = limiter.judge(&descriptors, context.now);
        let is_told = verdict.tells_rest.unwrap_or(settings.tells_rest);
        let rest = verdict.counted.as_ref().filter(|_| is_told);
        let rest = rest.map(|counted| Rest::of(counted, context.now));
        if let Some(wait) = verdict.refused {
            if settings.enforced.decide(context.rng) {
                return Step::Respond(refusal(settings, wait, rest));
            }
            context.changes.extend(&settings.request, head.headers);
        }
        if let Some(rest) = rest {
            *slot = Slot::Boxed(Box::new(rest));
        }
        Step::Continue
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn on_response(&self, slot: &mut Slot, _: StatusCode, headers: &mut HeaderMap) {
        if let Slot::Boxed(rest) = slot
            && let Some(rest) = rest.downcast_ref::<Rest>()
        {
            rest.tell(headers);
        }
    }
}

/// How much is left of a limit.
#[derive(Debug)]
struct Rest {
    limit: u32,
    remaining: u32,
    /// Seconds until there is more; 0 while there is some.
    reset: u64,
}

impl Rest {
    fn of(counted: &Counted, now: std::time::Instant) -> Self {
        let (fill, remaining) = (counted.bucket.fill(), counted.bucket.remaining(now));
        // As in Envoy: whole seconds that one token takes, however long ago the last one came.
        let interval = fill.token_interval().as_nanos().div_ceil(1_000_000) / 1_000;
        let reset = if remaining > 0 { 0 } else { u64::try_from(interval).unwrap_or(u64::MAX) };
        Self { limit: fill.max_tokens, remaining, reset }
    }

    fn tell(&self, headers: &mut HeaderMap) {
        let values = [
            (LIMIT, HeaderValue::from(self.limit)),
            (REMAINING, HeaderValue::from(self.remaining)),
            (RESET, HeaderValue::from(self.reset)),
        ];
        for (name, value) in values {
            let _ = headers.try_append(name, value);
        }
    }
}

#[cold]
fn refusal(settings: &Settings, wait: Duration, rest: Option<Rest>) -> LocalResponse {
    let mut headers = HeaderMap::new();
    settings.response.apply(&mut headers);
    // It is never worth to come again where no bucket is large enough.
    if settings.tells_wait
        && wait < Duration::MAX
        && settings.status == StatusCode::TOO_MANY_REQUESTS
        && !headers.contains_key(RETRY_AFTER)
    {
        let seconds = wait.as_nanos().div_ceil(1_000_000_000).clamp(1, u128::from(u64::MAX));
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(rest) = rest {
        rest.tell(&mut headers);
    }
    LocalResponse {
        status: settings.status,
        grpc: settings.grpc,
        headers,
        body: Bytes::from_static(b"local_rate_limited"),
        why: "local_rate_limited".into(),
    }
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
