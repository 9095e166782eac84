//! Retry policies: checked (gRFC A44), not acted on yet.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;

use super::value::positive_duration;
use super::{Path, Reject};

/// Checks the policy in `message`.
pub(super) fn check(message: Option<&RetryPolicy>, path: &Path<'_>) -> Result<(), Reject> {
    let Some(message) = message else { return Ok(()) };
    if message.num_retries.is_some_and(|n| n.value == 0) {
        return Err(path.field("num_retries").reject("is 0"));
    }
    let Some(backoff) = &message.retry_back_off else { return Ok(()) };
    let path = path.field("retry_back_off");
    let base = positive_duration(backoff.base_interval, &path.field("base_interval"))?;
    let base: Duration = base.ok_or_else(|| path.field("base_interval").reject("is required"))?;
    let max = positive_duration(backoff.max_interval, &path.field("max_interval"))?;
    if max.is_some_and(|max| max < base) {
        return Err(path.field("max_interval").reject("is below base_interval"));
    }
    Ok(())
}
