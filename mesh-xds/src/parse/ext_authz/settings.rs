//! `ExtAuthz` without its service.

use envoy_types::pb::envoy::config::core::v3::ApiVersion;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{BufferSettings, ExtAuthz};
use envoy_types::pb::envoy::r#type::matcher::v3::ListStringMatcher;
use http::StatusCode;
use mesh_core::matcher::StringMatcher;

use super::service::{Asked, service};
use crate::parse::{Path, Reject, matcher};
use crate::side::ext_authz::{Buffering, Headers, Settings};

pub(super) fn settings(message: &ExtAuthz, path: &Path<'_>) -> Result<Settings, Reject> {
    const V2: i32 = {
        #[expect(deprecated, reason = "it is what is refused")]
        const VERSION: i32 = ApiVersion::V2 as i32;
        VERSION
    };
    if message.transport_api_version == V2 {
        return Err(path.field("transport_api_version").reject("V2 is not supported"));
    }
    refuse(message, path)?;
    let Asked { service, cluster, authority, timeout, allowed } =
        service(message.services.as_ref(), path)?;
    let own = optional(message.allowed_headers.as_ref(), &path.field("allowed_headers"))?;
    let disallowed = list(message.disallowed_headers.as_ref(), &path.field("disallowed_headers"))?;
    let enabled = message.filter_enabled.as_ref();
    let enabled =
        enabled.map(|it| matcher::fraction(it, &path.field("filter_enabled"))).transpose()?;
    let disabled = message.deny_at_disable.as_ref().and_then(|flag| flag.default_value);
    let takes_metadata = message.enable_dynamic_metadata_ingestion;
    Ok(Settings {
        service,
        cluster,
        authority,
        timeout,
        failure_mode_allow: message.failure_mode_allow,
        failure_mode_allow_header_add: message.failure_mode_allow_header_add,
        status_on_error: status(message, &path.field("status_on_error"))?,
        validate_mutations: message.validate_mutations,
        enabled,
        deny_at_disable: disabled.is_some_and(|flag| flag.value),
        headers: Headers { allowed: own.or(allowed), disallowed },
        body: message
            .with_request_body
            .as_ref()
            .map(|body| buffering(body, &path.field("with_request_body")))
            .transpose()?,
        namespaces: boxed(&message.metadata_context_namespaces),
        route_namespaces: boxed(&message.route_metadata_context_namespaces),
        include_peer_certificate: message.include_peer_certificate,
        include_tls_session: message.include_tls_session,
        takes_metadata: takes_metadata.is_none_or(|flag| flag.value),
        max_denied_body: usize::try_from(message.max_denied_response_body_bytes).unwrap_or(0),
    })
}

/// What would change which requests pass, or what the service knows of them, and is not done here.
fn refuse(message: &ExtAuthz, path: &Path<'_>) -> Result<(), Reject> {
    for (name, is_set) in [
        ("clear_route_cache", message.clear_route_cache),
        ("filter_enabled_metadata", message.filter_enabled_metadata.is_some()),
        ("bootstrap_metadata_labels_key", !message.bootstrap_metadata_labels_key.is_empty()),
        ("encode_raw_headers", message.encode_raw_headers),
        ("decoder_header_mutation_rules", message.decoder_header_mutation_rules.is_some()),
        ("shadow_mode", message.shadow_mode),
        (
            "typed_metadata_context_namespaces",
            !message.typed_metadata_context_namespaces.is_empty(),
        ),
        (
            "route_typed_metadata_context_namespaces",
            !message.route_typed_metadata_context_namespaces.is_empty(),
        ),
    ] {
        if is_set {
            return Err(path.field(name).reject("is not supported"));
        }
    }
    Ok(())
}

/// How much of the body the service sees.
pub(super) fn buffering(message: &BufferSettings, path: &Path<'_>) -> Result<Buffering, Reject> {
    let most = usize::try_from(message.max_request_bytes).ok().filter(|most| *most > 0);
    let most = most.ok_or_else(|| path.field("max_request_bytes").reject("is 0"))?;
    let (is_cut, as_bytes) = (message.allow_partial_message, message.pack_as_bytes);
    Ok(Buffering { most, is_cut, as_bytes })
}

/// Envoy's default is 403.
fn status(message: &ExtAuthz, path: &Path<'_>) -> Result<StatusCode, Reject> {
    let Some(status) = &message.status_on_error else { return Ok(StatusCode::FORBIDDEN) };
    let code = u16::try_from(status.code).ok().filter(|code| (400..600).contains(code));
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    code.ok_or_else(|| path.field("code").reject("is not in 400 to 599"))
}

fn boxed(all: &[String]) -> Vec<Box<str>> {
    all.iter().map(|text| text.as_str().into()).collect()
}

pub(super) fn optional(
    message: Option<&ListStringMatcher>,
    path: &Path<'_>,
) -> Result<Option<Vec<StringMatcher>>, Reject> {
    let Some(message) = message else { return Ok(None) };
    let each = message.patterns.iter().enumerate();
    each.map(|(at, pattern)| matcher::string(pattern, &path.element("patterns", at)))
        .collect::<Result<_, _>>()
        .map(Some)
}

pub(super) fn list(
    message: Option<&ListStringMatcher>,
    path: &Path<'_>,
) -> Result<Vec<StringMatcher>, Reject> {
    optional(message, path).map(Option::unwrap_or_default)
}
