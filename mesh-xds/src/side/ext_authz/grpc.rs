//! `CheckResponse`: what the service says.

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use http::{HeaderMap, StatusCode};
use mesh_core::metadata::Fields;
use prost::Message;

use super::changes::{Allowed, Change, Changes};
use super::settings::Settings;
use super::{Denied, Verdict};
use crate::proto::fields;

const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

/// What the service says in `message`.
pub(super) fn verdict(settings: &Settings, message: &[u8]) -> Verdict {
    let response = match CheckResponse::decode(message) {
        Ok(response) => response,
        Err(why) => return Verdict::Error(format!("no CheckResponse: {why}")),
    };
    let notes = notes(&response);
    let is_ok = response.status.as_ref().map(|status| status.code == 0);
    match (is_ok, response.http_response) {
        (_, Some(HttpResponse::ErrorResponse(error))) => {
            Verdict::Broken(Box::new(deny(error, (notes, settings.status_on_error))))
        }
        // An empty message is more likely a mistake than a permission.
        (None, None) => Verdict::Error("says nothing".into()),
        (Some(false), Some(HttpResponse::DeniedResponse(denied)))
        | (_, Some(HttpResponse::DeniedResponse(denied))) => {
            Verdict::Deny(Box::new(deny(denied, (notes, FORBIDDEN))))
        }
        (Some(false), _) => {
            Verdict::Deny(Box::new(deny(DeniedHttpResponse::default(), (notes, FORBIDDEN))))
        }
        (_, Some(HttpResponse::OkResponse(ok))) => allow(&ok, notes),
        (Some(true), None) => Verdict::Allow(Box::new(Allowed { notes, ..Allowed::default() })),
    }
}

/// What it leaves for the filters after. The older field takes the place of the newer.
#[expect(deprecated, reason = "services send the older field")]
fn notes(response: &CheckResponse) -> Fields {
    let older = match &response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok.dynamic_metadata.as_ref(),
        Some(HttpResponse::DeniedResponse(_) | HttpResponse::ErrorResponse(_)) | None => None,
    };
    older.or(response.dynamic_metadata.as_ref()).map(fields).unwrap_or_default()
}

fn allow(ok: &OkHttpResponse, notes: Fields) -> Verdict {
    if !ok.query_parameters_to_set.is_empty() || !ok.query_parameters_to_remove.is_empty() {
        // The path is what the route and all other policies were chosen by.
        return Verdict::Error("changes the query, which cannot be changed here".into());
    }
    let mut request = changes(&ok.headers);
    ok.headers_to_remove.iter().for_each(|name| request.remove(name));
    let response = changes(&ok.response_headers_to_add);
    Verdict::Allow(Box::new(Allowed { request, response, notes }))
}

/// The denial `denied`, with the status `otherwise` if it says none that can be.
fn deny(denied: DeniedHttpResponse, (notes, otherwise): (Fields, StatusCode)) -> Denied {
    let code = denied.status.and_then(|status| u16::try_from(status.code).ok());
    let status = code.filter(|code| (200..600).contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let mut headers = HeaderMap::new();
    changes(&denied.headers).of_response(&mut headers);
    let status = status.unwrap_or(otherwise);
    Denied { status, headers, body: denied.body.into(), notes }
}

fn changes(options: &[HeaderValueOption]) -> Changes {
    let mut changes = Changes::default();
    for option in options {
        let Some(field) = &option.header else { continue };
        let value =
            if field.raw_value.is_empty() { field.value.as_bytes() } else { &field.raw_value };
        changes.add(&field.key, value, action(option));
    }
    changes
}

/// In these messages `append` is false unless it is said to be true, so that nobody's forged value
/// stays beside the service's own.
#[expect(deprecated, reason = "services send the older field")]
fn action(option: &HeaderValueOption) -> fn(http::HeaderName, http::HeaderValue) -> Change {
    if let Some(append) = &option.append {
        return if append.value { Change::Append } else { Change::Set };
    }
    match HeaderAppendAction::try_from(option.append_action) {
        Ok(HeaderAppendAction::AddIfAbsent) => Change::SetIfAbsent,
        Ok(HeaderAppendAction::OverwriteIfExists) => Change::SetIfPresent,
        Ok(
            HeaderAppendAction::AppendIfExistsOrAdd | HeaderAppendAction::OverwriteIfExistsOrAdd,
        )
        | Err(_) => Change::Set,
    }
}
