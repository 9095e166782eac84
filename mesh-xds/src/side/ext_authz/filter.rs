//! The filter that asks.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mesh_core::filter::{Context, Filter, LocalResponse, Slot, Step};
use mesh_core::metadata::{Fields, Overflow};
use mesh_core::request::RequestHead;
use mesh_core::side::{Call, Encoding, Failure, Reply};
use prost::Message;

use super::body::{self, Shown, TooLong};
use super::changes::{Allowed, Changes};
use super::settings::{OnRoute, Service, Settings};
use super::{Denied, Verdict, check, grpc, http as plain};

/// Under which name Envoy's filter leaves the service's metadata.
const NAMESPACE: &str = "envoy.filters.http.ext_authz";

/// Says that a request has passed because nobody could be asked.
const ALLOWED: HeaderName = HeaderName::from_static("x-envoy-auth-failure-mode-allowed");

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Lets requests pass that a service allows.
#[derive(Debug)]
pub(crate) struct Ask {
    /// `None` is a configuration that is not understood: nothing passes.
    pub(crate) settings: Option<Arc<Settings>>,
    pub(crate) on_route: OnRoute,
}

impl Filter for Ask {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let Some(settings) = &self.settings else {
            return Step::Respond(answer(
                StatusCode::FORBIDDEN,
                "ext_authz: not configured".into(),
            ));
        };
        if self.on_route.is_disabled {
            return Step::Continue;
        }
        let Some(reply) = context.answer.take() else {
            return self.ask(settings, head, context);
        };
        match verdict(settings, reply) {
            Verdict::Allow(allowed) => pass(settings, *allowed, (slot, head), context),
            Verdict::Deny(denied) => Step::Respond(deny(settings, *denied, context)),
            Verdict::Error(why) => failed(settings, &why, context),
            Verdict::Broken(denied) if settings.failure_mode_allow => {
                failed(settings, &denied.status.to_string(), context)
            }
            Verdict::Broken(denied) => Step::Respond(deny(settings, *denied, context)),
        }
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn on_response(&self, slot: &mut Slot, _: StatusCode, headers: &mut HeaderMap) {
        if let Slot::Boxed(changes) = slot
            && let Some(changes) = changes.downcast_ref::<Changes>()
        {
            changes.of_response(headers);
        }
    }
}

impl Ask {
    /// Asks about a request, which may want a part of its body first.
    fn ask(&self, settings: &Settings, head: &RequestHead<'_>, context: &mut Context<'_>) -> Step {
        let wanted = body::wanted(settings, &self.on_route, head);
        if let (Some(wanted), Some(body)) = (wanted, context.body.take()) {
            return match wanted.show(&body) {
                Ok(shown) => Step::Ask(Box::new(self.call(settings, (head, shown), context))),
                Err(TooLong) => Step::Respond(too_long()),
            };
        }
        context.changes.remove.push(ALLOWED);
        let is_asked = settings.enabled.is_none_or(|share| share.decide(context.rng));
        match (is_asked, wanted, settings.deny_at_disable) {
            (true, Some(wanted), _) => Step::Body { up_to: wanted.up_to() },
            (true, None, _) => Step::Ask(Box::new(self.call(settings, (head, None), context))),
            (false, _, false) => Step::Continue,
            (false, _, true) => {
                let why = "ext_authz: disabled".into();
                Step::Respond(answer(settings.status_on_error, why))
            }
        }
    }

    fn call(
        &self,
        settings: &Settings,
        (head, shown): (&RequestHead<'_>, Option<Shown>),
        context: &Context<'_>,
    ) -> Call {
        let (cluster, timeout) = (settings.cluster.clone(), settings.timeout);
        match &settings.service {
            Service::Grpc(grpc) => {
                let message = check::request((settings, &self.on_route), head, shown, context);
                Call {
                    cluster,
                    authority: settings.authority.clone(),
                    path: CHECK.into(),
                    headers: grpc.metadata.clone(),
                    encoding: Encoding::Grpc,
                    message: message.encode_to_vec().into(),
                    timeout,
                }
            }
            Service::Http(http) => Call {
                cluster,
                // As Envoy says it: whom the request is for, as far as it says so.
                authority: match head.authority {
                    "" => settings.authority.clone(),
                    authority => authority.into(),
                },
                path: plain::path(http, head).into(),
                headers: plain::headers((settings, http), head, shown.as_ref()),
                encoding: Encoding::Http(head.method.clone()),
                message: shown.map_or_else(Bytes::new, |shown| shown.bytes),
                timeout,
            },
        }
    }
}

fn verdict(settings: &Settings, reply: Result<Reply, Failure>) -> Verdict {
    match (reply, &settings.service) {
        (Ok(reply), Service::Grpc(_)) => grpc::verdict(settings, &reply.message),
        (Ok(reply), Service::Http(http)) => plain::verdict(http, reply),
        (Err(why), _) => Verdict::Error(why.to_string()),
    }
}

/// Lets a request pass, changed as the service says.
fn pass(
    settings: &Settings,
    allowed: Allowed,
    (slot, head): (&mut Slot, &RequestHead<'_>),
    context: &mut Context<'_>,
) -> Step {
    let invalid = [&allowed.request, &allowed.response];
    let invalid = invalid.into_iter().find_map(|it| it.invalid.clone());
    if let Some(name) = invalid.filter(|_| settings.validate_mutations) {
        let why = format!("ext_authz: the service may not write {name:?}");
        return Step::Respond(answer(StatusCode::INTERNAL_SERVER_ERROR, why));
    }
    if note(settings, context, allowed.notes).is_err() {
        let why = "ext_authz: the service's metadata is too large".into();
        return Step::Respond(answer(StatusCode::INTERNAL_SERVER_ERROR, why));
    }
    allowed.request.of_request(head.headers, context.changes);
    if !allowed.response.all.is_empty() {
        *slot = Slot::Boxed(Box::new(allowed.response));
    }
    Step::Continue
}

/// Answers a request as the service says.
fn deny(settings: &Settings, denied: Denied, context: &mut Context<'_>) -> LocalResponse {
    let Denied { status, headers, body, notes } = denied;
    // For logs only: what has no room is left out.
    let _ = note(settings, context, notes);
    let most = if settings.max_denied_body == 0 { usize::MAX } else { settings.max_denied_body };
    let body = body.slice(..body.len().min(most));
    let response = answer(status, format!("ext_authz: denied with {status}"));
    LocalResponse { headers, body, ..response }
}

/// To a request whose body the service may not see whole: whatever is let pass without an answer.
#[cold]
fn too_long() -> LocalResponse {
    let why = "ext_authz: the body is longer than the service may see".into();
    let response = answer(StatusCode::PAYLOAD_TOO_LARGE, why);
    LocalResponse { body: Bytes::from_static(b"Payload Too Large"), ..response }
}

#[cold]
fn failed(settings: &Settings, why: &str, context: &mut Context<'_>) -> Step {
    if !settings.failure_mode_allow {
        return Step::Respond(answer(settings.status_on_error, format!("ext_authz: {why}")));
    }
    if settings.failure_mode_allow_header_add {
        context.changes.set.push((ALLOWED, HeaderValue::from_static("true")));
    }
    Step::Continue
}

/// Leaves what the service says for the filters after.
fn note(settings: &Settings, context: &mut Context<'_>, notes: Fields) -> Result<(), Overflow> {
    if settings.takes_metadata && notes.iter().next().is_some() {
        return context.metadata.add(NAMESPACE, notes);
    }
    Ok(())
}

#[cold]
fn answer(status: StatusCode, why: String) -> LocalResponse {
    let grpc = LocalResponse::grpc_code(status);
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    LocalResponse { status, grpc, headers, body, why: why.into() }
}
