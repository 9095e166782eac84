//! `RateLimitResponse`: what the service says.

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HeaderValue as Field;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus};
use http::{HeaderName, HeaderValue};
use mesh_core::filter::is_writable;
use mesh_core::metadata::Fields;
use prost::Message;

use crate::proto::fields;

/// Header fields that a service adds at the most.
const MOST: usize = 128;

/// What the service says of a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) is_over: bool,
    pub(super) statuses: Vec<DescriptorStatus>,
    /// For the request.
    pub(super) request: Vec<(HeaderName, HeaderValue)>,
    /// For the response.
    pub(super) response: Vec<(HeaderName, HeaderValue)>,
    /// The body of a refusal.
    pub(super) body: Bytes,
    /// For metadata.
    pub(super) notes: Fields,
}

/// What the service says in `message`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(message: &[u8]) -> Result<Answer, String> {
    let message = RateLimitResponse::decode(message);
    let message = message.map_err(|why| format!("no RateLimitResponse: {why}"))?;
    let is_over = match Code::try_from(message.overall_code) {
        Ok(Code::Ok) => false,
        Ok(Code::OverLimit) => true,
        // An empty message is more likely a mistake than a permission.
        Ok(Code::Unknown) | Err(_) => return Err("says nothing".into()),
    };
    Ok(Answer {
        is_over,
        statuses: message.statuses,
        request: named(&message.request_headers_to_add),
        response: named(&message.response_headers_to_add),
        body: message.raw_body.into(),
        notes: message.dynamic_metadata.as_ref().map(fields).unwrap_or_default(),
    })
}

/// Those that may be written.
fn named(fields: &[Field]) -> Vec<(HeaderName, HeaderValue)> {
    let known = fields.iter().filter_map(|field| {
        let name = HeaderName::try_from(field.key.as_str()).ok().filter(is_writable)?;
        let value =
            if field.raw_value.is_empty() { field.value.as_bytes() } else { &field.raw_value };
        Some((name, HeaderValue::from_bytes(value).ok()?))
    });
    known.take(MOST).collect()
}
