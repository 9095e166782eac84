//! `TokenBucket`.

use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3::TokenBucket;
use mesh_core::limit::Fill;

use crate::parse::value::positive_duration;
use crate::parse::{Path, Reject};

/// Envoy's bound on how often a bucket is filled.
const SHORTEST: Duration = Duration::from_millis(50);

/// How the bucket in `message` fills.
pub(super) fn fill(message: &TokenBucket, path: &Path<'_>) -> Result<Fill, Reject> {
    let at = path.field("fill_interval");
    let interval = positive_duration(message.fill_interval, &at)?;
    let interval = interval.ok_or_else(|| at.reject("is required"))?;
    // Of a bucket that is always empty it does not matter.
    if interval < SHORTEST && message.max_tokens > 0 {
        return Err(at.reject("is below 50 ms"));
    }
    let tokens_per_fill = message.tokens_per_fill.map_or(1, |tokens| tokens.value);
    if tokens_per_fill == 0 {
        return Err(path.field("tokens_per_fill").reject("is 0"));
    }
    Ok(Fill { max_tokens: message.max_tokens, tokens_per_fill, interval })
}
