use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority;
use mesh_core::matcher::Fraction;
use mesh_core::retry::Limit;

use crate::parse::{Path, Reject};

/// What bounds the retries to a cluster: `retry_budget`, or else `max_retries`, in the first
/// thresholds of `priority`.
pub(in crate::parse) fn limit(
    message: &Cluster,
    priority: RoutingPriority,
    path: &Path<'_>,
) -> Result<Option<Limit>, Reject> {
    let path = path.field("circuit_breakers");
    let all = message.circuit_breakers.iter().flat_map(|breakers| &breakers.thresholds);
    let mut all = all.enumerate();
    let found = all.find(|(_, one)| one.priority == priority as i32);
    let Some((at, thresholds)) = found else { return Ok(None) };
    let path = path.element("thresholds", at);
    match &thresholds.retry_budget {
        Some(message) => budget(message, &path.field("retry_budget")).map(Some),
        None => Ok(thresholds.max_retries.map(|most| Limit::AtMost(most.value))),
    }
}

fn budget(message: &RetryBudget, path: &Path<'_>) -> Result<Limit, Reject> {
    let percent = message.budget_percent.map_or(PERCENT, |percent| percent.value);
    if !(0.0..=100.0).contains(&percent) {
        return Err(path.field("budget_percent").reject("is not in 0 to 100"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
    let millionths = (percent * 10_000.0).round() as u32;
    let min = message.min_retry_concurrency.map_or(MIN, |min| min.value);
    Ok(Limit::Share { ratio: Fraction::per_million(millionths), min })
}

/// Envoy's default for `budget_percent`.
const PERCENT: f64 = 20.0;

/// Envoy's default for `min_retry_concurrency`.
const MIN: u32 = 3;
