use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::adaptive_concurrency::ConcurrencyControllerConfig;
use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::gradient_controller_config::MinimumRttCalculationParams;
use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3::{
    AdaptiveConcurrency, GradientControllerConfig,
};
use envoy_types::pb::envoy::r#type::v3::{HttpStatus, StatusCode as Known};
use envoy_types::pb::google::protobuf::UInt32Value;
use http::StatusCode;
use mesh_core::concurrency::{Gradient, Measured, MinRtt};
use mesh_core::filter::{Factory, Filter, LimitConcurrency, Settings};
use prost::Message;

use super::{NOT_ON_ROUTES, Shared, is_enabled, share};
use crate::parse::value::positive_duration;
use crate::parse::{Path, Reject};

/// Makes the filters of `envoy.filters.http.adaptive_concurrency`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdaptiveConcurrencyFactory;

impl Factory for AdaptiveConcurrencyFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/\
         envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let message = AdaptiveConcurrency::decode(message).map_err(|why| why.to_string())?;
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

fn filter(
    message: &AdaptiveConcurrency,
    path: &Path<'_>,
) -> Result<Option<LimitConcurrency>, Reject> {
    let Some(ConcurrencyControllerConfig::GradientControllerConfig(controller)) =
        &message.concurrency_controller_config
    else {
        return Err(path.field("gradient_controller_config").reject("is required"));
    };
    let gradient = gradient(controller, &path.field("gradient_controller_config"))?;
    let status = message.concurrency_limit_exceeded_status.as_ref();
    let status = status_of(status, &path.field("concurrency_limit_exceeded_status"))?;
    let is_enabled = is_enabled(message.enabled.as_ref(), &path.field("enabled"))?;
    Ok(is_enabled.then(|| LimitConcurrency::shedding(gradient, status)))
}

pub(super) fn gradient(
    message: &GradientControllerConfig,
    path: &Path<'_>,
) -> Result<Gradient, Reject> {
    let rtt_path = path.field("min_rtt_calc_params");
    let Some(rtt) = &message.min_rtt_calc_params else {
        return Err(rtt_path.reject("is required"));
    };
    let path_of_limit = path.field("concurrency_limit_params");
    let Some(limit) = &message.concurrency_limit_params else {
        return Err(path_of_limit.reject("is required"));
    };
    let interval_path = path_of_limit.field("concurrency_update_interval");
    let interval = positive_duration(limit.concurrency_update_interval, &interval_path)?
        .ok_or_else(|| interval_path.reject("is required"))?;
    let mut gradient = Gradient::new(interval, min_rtt(rtt, &rtt_path)?);
    let initial = positive(rtt.min_concurrency, &rtt_path.field("min_concurrency"))?;
    gradient.initial = initial.unwrap_or(gradient.initial);
    let max = path_of_limit.field("max_concurrency_limit");
    gradient.max = positive(limit.max_concurrency_limit, &max)?.unwrap_or(gradient.max);
    let min = path_of_limit.field("min_concurrency_limit");
    gradient.min = positive(limit.min_concurrency_limit, &min)?;
    let percentile = message.sample_aggregate_percentile.as_ref();
    gradient.percentile = share(percentile, 50.0, &path.field("sample_aggregate_percentile"))?;
    gradient.buffer = share(rtt.buffer.as_ref(), 25.0, &rtt_path.field("buffer"))?;
    Ok(gradient)
}

/// A fixed value counts, as in Envoy, where there is an interval, too.
fn min_rtt(message: &MinimumRttCalculationParams, path: &Path<'_>) -> Result<MinRtt, Reject> {
    let interval = positive_duration(message.interval, &path.field("interval"))?;
    if interval.is_some_and(|interval| interval < Duration::from_millis(1)) {
        return Err(path.field("interval").reject("is below 1 ms"));
    }
    let requests = positive(message.request_count, &path.field("request_count"))?;
    let jitter = share(message.jitter.as_ref(), 15.0, &path.field("jitter"))?;
    let fixed = positive_duration(message.fixed_value, &path.field("fixed_value"))?;
    match (fixed, interval) {
        (Some(fixed), _) => Ok(MinRtt::Fixed(fixed)),
        (None, Some(interval)) => {
            let mut measured = Measured::every(interval);
            measured.jitter = jitter;
            measured.requests = requests.unwrap_or(measured.requests);
            Ok(MinRtt::Measured(measured))
        }
        (None, None) => Err(path.reject("has neither interval nor fixed_value")),
    }
}

fn positive(value: Option<UInt32Value>, path: &Path<'_>) -> Result<Option<u32>, Reject> {
    match value {
        Some(UInt32Value { value: 0 }) => Err(path.reject("is 0")),
        value => Ok(value.map(|value| value.value)),
    }
}

/// What is below 400 says 503, as in Envoy.
fn status_of(message: Option<&HttpStatus>, path: &Path<'_>) -> Result<StatusCode, Reject> {
    let Some(message) = message else { return Ok(StatusCode::SERVICE_UNAVAILABLE) };
    let known = Known::try_from(message.code).ok().filter(|known| *known != Known::Empty);
    let code = known.and_then(|_| u16::try_from(message.code).ok());
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    match status.ok_or_else(|| path.field("code").reject("is no status"))? {
        status if status.as_u16() < 400 => Ok(StatusCode::SERVICE_UNAVAILABLE),
        status => Ok(status),
    }
}
