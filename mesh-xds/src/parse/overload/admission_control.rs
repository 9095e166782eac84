use std::ops::Range;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RuntimePercent;
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::AdmissionControl;
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::admission_control::success_criteria::{
    GrpcCriteria, HttpCriteria,
};
use envoy_types::pb::envoy::extensions::filters::http::admission_control::v3::admission_control::{
    EvaluationCriteria, SuccessCriteria,
};
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use mesh_core::admission::{Admission, Config, Criteria};
use mesh_core::filter::{Admit, Factory, Filter, Settings};
use prost::Message;

use super::{NOT_ON_ROUTES, Shared, is_enabled, share};
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject};

/// Makes the filters of `envoy.filters.http.admission_control`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmissionControlFactory;

impl Factory for AdmissionControlFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let message = AdmissionControl::decode(message).map_err(|why| why.to_string())?;
        let filter = filter(&message, &Path::root()).map_err(|why| why.to_string())?;
        Ok(Shared::settings(filter))
    }

    fn parse_override(&self, _: &[u8]) -> Result<Settings, String> {
        Err(NOT_ON_ROUTES.into())
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Shared::filter(base)
    }
}

fn filter(message: &AdmissionControl, path: &Path<'_>) -> Result<Option<Admit>, Reject> {
    let Some(EvaluationCriteria::SuccessCriteria(criteria)) = &message.evaluation_criteria else {
        return Err(path.field("success_criteria").reject("is required"));
    };
    let criteria = success(criteria, &path.field("success_criteria"))?;
    let config = config(message, path)?;
    let is_enabled = is_enabled(message.enabled.as_ref(), &path.field("enabled"))?;
    Ok(is_enabled.then(|| Admit::new(Admission::new(config), criteria)))
}

pub(super) fn config(message: &AdmissionControl, path: &Path<'_>) -> Result<Config, Reject> {
    let mut config = Config::default();
    let window = optional_duration(message.sampling_window, &path.field("sampling_window"))?;
    config.window = window.unwrap_or(config.window);
    if let Some(aggression) = &message.aggression {
        let value = aggression.default_value;
        if !value.is_finite() {
            return Err(path.field("aggression.default_value").reject("is no number"));
        }
        config.aggression = value.max(1.0);
    }
    let threshold = message.sr_threshold.as_ref();
    config.threshold = percent(threshold, config.threshold, &path.field("sr_threshold"))?;
    if config.threshold < LEAST_THRESHOLD {
        return Err(path.field("sr_threshold.default_value").reject("is below 1"));
    }
    config.rps = message.rps_threshold.as_ref().map_or(config.rps, |rps| rps.default_value);
    let most = message.max_rejection_probability.as_ref();
    config.most = percent(most, config.most, &path.field("max_rejection_probability"))?;
    Ok(config)
}

/// Envoy refuses lower ones.
const LEAST_THRESHOLD: f64 = 0.01;

/// A percentage beside a runtime key, which is 0 if only the key is there.
fn percent(message: Option<&RuntimePercent>, default: f64, path: &Path<'_>) -> Result<f64, Reject> {
    match message {
        Some(message) => share(message.default_value.as_ref(), 0.0, &path.field("default_value")),
        None => Ok(default),
    }
}

pub(super) fn success(message: &SuccessCriteria, path: &Path<'_>) -> Result<Criteria, Reject> {
    let mut criteria = Criteria::default();
    if let Some(HttpCriteria { http_success_status: all }) = &message.http_criteria {
        let path = path.field("http_criteria");
        if all.is_empty() {
            return Err(path.field("http_success_status").reject("is empty"));
        }
        let each = all.iter().enumerate();
        let ranges = each.map(|(at, one)| range(one, &path.element("http_success_status", at)));
        criteria = criteria.http(ranges.collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(GrpcCriteria { grpc_success_status: all }) = &message.grpc_criteria {
        let path = path.field("grpc_criteria");
        if all.is_empty() {
            return Err(path.field("grpc_success_status").reject("is empty"));
        }
        if let Some(at) = all.iter().position(|code| *code > 16) {
            return Err(path.element("grpc_success_status", at).reject("is above 16"));
        }
        criteria = criteria.grpc(all.iter().copied());
    }
    Ok(criteria)
}

fn range(message: &Int32Range, path: &Path<'_>) -> Result<Range<u16>, Reject> {
    match (u16::try_from(message.start), u16::try_from(message.end)) {
        (Ok(start), Ok(end)) if 100 <= start && start < end && end <= 600 => Ok(start..end),
        _ => Err(path.reject("is no range in 100 to 600")),
    }
}
