//! Outlier detection: checked (gRFC A50), not acted on yet.

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;

use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject};

pub(super) fn check(message: Option<&OutlierDetection>, path: &Path<'_>) -> Result<(), Reject> {
    let Some(message) = message else { return Ok(()) };
    for (name, duration) in [
        ("interval", message.interval),
        ("base_ejection_time", message.base_ejection_time),
        ("max_ejection_time", message.max_ejection_time),
    ] {
        optional_duration(duration, &path.field(name))?;
    }
    for (name, percentage) in [
        ("max_ejection_percent", message.max_ejection_percent),
        ("enforcing_success_rate", message.enforcing_success_rate),
        ("failure_percentage_threshold", message.failure_percentage_threshold),
        ("enforcing_failure_percentage", message.enforcing_failure_percentage),
    ] {
        if percentage.is_some_and(|p| p.value > 100) {
            return Err(path.field(name).reject("is above 100"));
        }
    }
    Ok(())
}
