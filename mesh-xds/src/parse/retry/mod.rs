//! Retry and hedge policies (gRFC A44, Envoy's `RetryPolicy` and `HedgePolicy`).

mod hedge;
mod hosts;
mod limit;
mod ours;
#[cfg(test)]
mod tests;

pub(super) use self::hedge::hedge;
pub(super) use self::limit::limit;
#[cfg(feature = "file")]
pub(crate) use self::ours::MESH_RETRY;
pub(super) use self::ours::extend;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{
    RateLimitedRetryBackOff, ResetHeaderFormat, RetryBackOff,
};
use http::{HeaderName, StatusCode};
use mesh_core::retry::{Conditions, Policy, RateLimited, ResetFormat, ResetHeader, Spacing};

use super::value::{optional_duration, positive_duration};
use super::{Path, Reject, matcher};

/// The policy in `message`, if there is one.
pub(super) fn policy(
    message: Option<&RetryPolicy>,
    path: &Path<'_>,
) -> Result<Option<Arc<Policy>>, Reject> {
    let Some(message) = message else { return Ok(None) };
    if !message.retry_options_predicates.is_empty() {
        return Err(path.field("retry_options_predicates").reject("is not supported"));
    }
    let mut policy = Policy::new(Conditions::parse(&message.retry_on));
    policy.num_retries = match &message.num_retries {
        Some(number) if number.value == 0 => return Err(path.field("num_retries").reject("is 0")),
        number => number.as_ref().map(|number| number.value),
    };
    policy.per_try_timeout =
        optional_duration(message.per_try_timeout, &path.field("per_try_timeout"))?;
    policy.per_try_idle_timeout =
        optional_duration(message.per_try_idle_timeout, &path.field("per_try_idle_timeout"))?;
    if let Some(message) = &message.retry_back_off {
        policy.spacing = spacing(message, &path.field("retry_back_off"))?;
    }
    if let Some(message) = &message.rate_limited_retry_back_off {
        let path = path.field("rate_limited_retry_back_off");
        policy.rate_limited = Some(rate_limited(message, &path)?);
    }
    // What is no status never comes, as in Envoy.
    let statuses = message.retriable_status_codes.iter();
    let status = |code: &u32| StatusCode::from_u16(u16::try_from(*code).ok()?).ok();
    policy.status_codes = statuses.filter_map(status).collect();
    for (at, header) in message.retriable_headers.iter().enumerate() {
        let path = path.element("retriable_headers", at);
        policy.headers.push(matcher::header(header, &path)?);
    }
    for (at, header) in message.retriable_request_headers.iter().enumerate() {
        let path = path.element("retriable_request_headers", at);
        policy.request_headers.push(matcher::header(header, &path)?);
    }
    policy.hosts = hosts::hosts(message, path)?;
    Ok(Some(Arc::new(policy)))
}

fn spacing(message: &RetryBackOff, path: &Path<'_>) -> Result<Spacing, Reject> {
    /// Envoy and gRPC round up to this.
    const LEAST: Duration = Duration::from_millis(1);
    let base = positive_duration(message.base_interval, &path.field("base_interval"))?;
    let base = base.ok_or_else(|| path.field("base_interval").reject("is required"))?;
    let max = positive_duration(message.max_interval, &path.field("max_interval"))?;
    if max.is_some_and(|max| max < base) {
        return Err(path.field("max_interval").reject("is below base_interval"));
    }
    let base = base.max(LEAST);
    let max = max.unwrap_or_else(|| base.saturating_mul(10)).max(LEAST);
    Ok(Spacing { base, max })
}

fn rate_limited(message: &RateLimitedRetryBackOff, path: &Path<'_>) -> Result<RateLimited, Reject> {
    if message.reset_headers.is_empty() {
        return Err(path.field("reset_headers").reject("is empty"));
    }
    let mut headers = Vec::with_capacity(message.reset_headers.len());
    for (at, reset) in message.reset_headers.iter().enumerate() {
        let path = path.element("reset_headers", at);
        let name = HeaderName::from_bytes(reset.name.as_bytes());
        let name = name.map_err(|why| path.field("name").reject(why))?;
        let format = match ResetHeaderFormat::try_from(reset.format) {
            Ok(ResetHeaderFormat::Seconds) => ResetFormat::Seconds,
            Ok(ResetHeaderFormat::UnixTimestamp) => ResetFormat::UnixTimestamp,
            Err(_) => return Err(path.field("format").reject("is unknown")),
        };
        headers.push(ResetHeader { name, format });
    }
    let max = positive_duration(message.max_interval, &path.field("max_interval"))?;
    Ok(RateLimited { headers, max: max.unwrap_or(RateLimited::MAX) })
}
