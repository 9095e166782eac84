//! The filter that asks.

use std::sync::Arc;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mesh_core::filter::{Context, Filter, LocalResponse, Slot, Step};
use mesh_core::limit::{Descriptor, Facts, Rule};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::side::{Call, Encoding, Failure, Reply};
use prost::Message;

use super::answer::{self, Answer};
use super::settings::{Kind, OnRoute, Settings};
use super::{message, rest};

/// Lets requests pass that a rate limit service does not refuse.
#[derive(Debug)]
pub(crate) struct AskLimit {
    /// `None` is a configuration that is not understood, which the parser does not make.
    pub(crate) settings: Option<Arc<Settings>>,
    pub(crate) on_route: OnRoute,
}

impl Filter for AskLimit {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let Some(settings) = &self.settings else { return Step::Continue };
        let Some(reply) = context.answer.take() else {
            if !settings.enabled.decide(context.rng) || !settings.kind.counts(head) {
                return Step::Continue;
            }
            let descriptors = self.descriptors(settings, head, context);
            if descriptors.is_empty() {
                return Step::Continue;
            }
            return Step::Ask(Box::new(self.call(settings, &descriptors)));
        };
        match understood(reply) {
            Ok(answer) => answered(settings, answer, slot, context),
            Err(why) => failed(settings, &why, context),
        }
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn on_response(&self, slot: &mut Slot, _: StatusCode, headers: &mut HeaderMap) {
        if let Slot::Boxed(fields) = slot
            && let Some(fields) = fields.downcast_ref::<Vec<(HeaderName, HeaderValue)>>()
        {
            append(headers, fields);
        }
    }
}

impl AskLimit {
    /// What a request is counted as: as the route says of this filter, or else the filter, or else
    /// the route.
    fn descriptors(
        &self,
        settings: &Settings,
        head: &RequestHead<'_>,
        context: &Context<'_>,
    ) -> Vec<Descriptor> {
        let none = Metadata::default();
        let facts = Facts {
            head,
            peer: context.peer,
            cluster: context.cluster,
            metadata: &context.metadata,
            route: context.route.map_or(&none, |route| &route.metadata),
        };
        let counted = |rule: &Rule| rule.descriptor(&facts);
        for rules in [&self.on_route.rules, &settings.rules] {
            if !rules.is_empty() {
                return rules.iter().filter_map(counted).collect();
            }
        }
        let Some(route) = context.route else { return Vec::new() };
        let rules = route.limits.of_stage(settings.stage, self.on_route.virtual_host);
        rules.filter_map(counted).collect()
    }

    fn call(&self, settings: &Settings, descriptors: &[Descriptor]) -> Call {
        let domain = self.on_route.domain.as_ref().unwrap_or(&settings.domain);
        Call {
            cluster: settings.cluster.clone(),
            authority: settings.authority.clone(),
            path: SHOULD_RATE_LIMIT.into(),
            headers: settings.metadata.clone(),
            encoding: Encoding::Grpc,
            message: message::request(domain, descriptors).encode_to_vec().into(),
            timeout: settings.timeout,
        }
    }
}

impl Kind {
    fn counts(self, head: &RequestHead<'_>) -> bool {
        let is_internal = || head.headers.get(INTERNAL).is_some_and(|value| value == "true");
        match self {
            Self::Both => true,
            Self::Internal => is_internal(),
            Self::External => !is_internal(),
        }
    }
}

fn understood(reply: Result<Reply, Failure>) -> Result<Answer, String> {
    answer::read(&reply.map_err(|why| why.to_string())?.message)
}

fn answered(
    settings: &Settings,
    answer: Answer,
    slot: &mut Slot,
    context: &mut Context<'_>,
) -> Step {
    let Answer { is_over, statuses, request, mut response, body, notes } = answer;
    if notes.iter().next().is_some() {
        // For logs and later filters; what has no room is left out.
        let _ = context.metadata.add(&settings.namespace, notes);
    }
    let wait = rest::wait(&statuses).filter(|_| is_over && settings.tells_wait);
    if is_over && settings.tells_limited {
        response.push((LIMITED, HeaderValue::from_static("true")));
    }
    if settings.tells_rest {
        response.extend(rest::headers(&statuses));
    }
    if is_over && settings.enforced.decide(context.rng) {
        return Step::Respond(refusal(settings, &response, wait, body));
    }
    context.changes.append.extend(request);
    if !response.is_empty() {
        *slot = Slot::Boxed(Box::new(response));
    }
    Step::Continue
}

#[cold]
fn refusal(
    settings: &Settings,
    fields: &[(HeaderName, HeaderValue)],
    wait: Option<HeaderValue>,
    body: Bytes,
) -> LocalResponse {
    let mut headers = HeaderMap::new();
    append(&mut headers, fields);
    settings.response.apply(&mut headers);
    if let Some(wait) = wait
        && settings.status == StatusCode::TOO_MANY_REQUESTS
        && !headers.contains_key(RETRY_AFTER)
    {
        headers.insert(RETRY_AFTER, wait);
    }
    let (status, grpc) = (settings.status, settings.grpc);
    LocalResponse { status, grpc, headers, body, why: "request_rate_limited".into() }
}

#[cold]
fn failed(settings: &Settings, why: &str, context: &mut Context<'_>) -> Step {
    if !settings.denied_on_failure.decide(context.rng) {
        return Step::Continue;
    }
    let status = settings.status_on_error;
    Step::Respond(LocalResponse {
        status,
        grpc: LocalResponse::grpc_code(status),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        why: format!("rate_limiter_error: {why}").into(),
    })
}

fn append(headers: &mut HeaderMap, fields: &[(HeaderName, HeaderValue)]) {
    for (name, value) in fields {
        // A map that is full, as no message can be, is left as it is.
        let _ = headers.try_append(name, value.clone());
    }
}

const SHOULD_RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// Says whether a request comes from within (Envoy's own edge writes it).
const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");

/// Says that a request was refused for coming too often, and not to be retried.
const LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");
