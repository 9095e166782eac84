//! An authorization service that speaks HTTP: a request like the one it is about, with the body if it is configured.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use mesh_core::filter::is_writable;
use mesh_core::metadata::{Fields, Value};
use mesh_core::request::RequestHead;
use mesh_core::side::Reply;

use super::body::Shown;
use super::changes::{Allowed, Change, Changes};
use super::settings::{Http, PARTIAL, Settings, any};
use super::{Denied, Verdict};
/// Names in this field are taken out of the request.
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// `:path` of the call.
pub(super) fn path(http: &Http, head: &RequestHead<'_>) -> String {
    match &http.path {
        Some(path) => path.to_string(),
        None => format!("{}{}", http.prefix, head.path_and_query()),
    }
}

/// The header fields of the call, which has the body `shown`.
pub(super) fn headers(
    (settings, http): (&Settings, &Http),
    head: &RequestHead<'_>,
    shown: Option<&Shown>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in head.headers {
        let is_shown = settings.headers.shows(name.as_str(), false);
        let is_credential = name == AUTHORIZATION && !settings.headers.hides(name.as_str());
        if is_writable(name) && (is_shown || is_credential) {
            let _ = headers.try_append(name, value.clone());
        }
    }
    for (name, value) in &http.add {
        let _ = headers.try_insert(name, value.clone());
    }
    if let Some(shown) = shown {
        let value = HeaderValue::from_static(if shown.is_partial { "true" } else { "false" });
        let _ = headers.try_insert(HeaderName::from_static(PARTIAL), value);
    }
    let length = shown.map_or(0, |shown| shown.bytes.len());
    let _ = headers.try_insert(CONTENT_LENGTH, length.into());
    headers
}

/// What the service says with `reply`: 200 lets pass, 5xx is an error, all else denies.
pub(super) fn verdict(http: &Http, reply: Reply) -> Verdict {
    if reply.status.is_server_error() {
        return Verdict::Error(format!("answered with {}", reply.status));
    }
    let notes = notes(http, &reply.headers);
    if reply.status == StatusCode::OK {
        return allow(http, &reply.headers, notes);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &reply.headers {
        let is_passed = http.client.as_ref().is_none_or(|allowed| any(allowed, name.as_str()));
        // As in Envoy, these answers make no sense without them.
        if is_writable(name) && (is_passed || name == LOCATION || name == WWW_AUTHENTICATE) {
            let _ = headers.try_append(name, value.clone());
        }
    }
    let body: Bytes = reply.message;
    // What is no final status would leave the client waiting.
    let is_final = reply.status.as_u16() >= 200;
    let status = if is_final { reply.status } else { StatusCode::FORBIDDEN };
    Verdict::Deny(Box::new(Denied { status, headers, body, notes }))
}

fn allow(http: &Http, headers: &HeaderMap, notes: Fields) -> Verdict {
    let (mut request, mut response) = (Changes::default(), Changes::default());
    for name in headers.get_all(REMOVE).iter().filter_map(|value| value.to_str().ok()) {
        name.split(',').for_each(|name| request.remove(name.trim()));
    }
    for (name, value) in headers {
        let (text, value) = (name.as_str(), value.as_bytes());
        if any(&http.upstream_append, text) {
            request.add(text, value, Change::Append);
        } else if any(&http.upstream, text) {
            request.add(text, value, Change::Set);
        }
        if any(&http.client_on_success, text) {
            response.add(text, value, Change::Append);
        }
    }
    Verdict::Allow(Box::new(Allowed { request, response, notes }))
}

fn notes(http: &Http, headers: &HeaderMap) -> Fields {
    let named = headers.iter().filter(|(name, _)| any(&http.metadata, name.as_str()));
    named
        .map(|(name, value)| {
            (name.as_str(), Value::from(&*String::from_utf8_lossy(value.as_bytes())))
        })
        .collect()
}
