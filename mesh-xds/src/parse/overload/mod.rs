//! Envoy's filters against too much to do: `adaptive_concurrency` and `admission_control`.
//!
//! What a filter learns belongs to its listener: all routes share it, and route updates keep it.
//! There is nothing that a route may say but that a filter is off. Runtime keys are ignored, and the
//! values beside them count.

mod adaptive_concurrency;
mod admission_control;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RuntimeFeatureFlag;
use envoy_types::pb::envoy::r#type::v3::Percent;
use mesh_core::filter::{Context, Filter, Settings, Slot, Step};
use mesh_core::request::RequestHead;

pub use adaptive_concurrency::AdaptiveConcurrencyFactory;
pub use admission_control::AdmissionControlFactory;

use super::{Path, Reject};

/// The filter of one listener, which its routes share.
struct Shared(Arc<dyn Filter>);

impl Shared {
    fn settings(filter: Option<impl Filter + 'static>) -> Settings {
        Arc::new(match filter {
            Some(filter) => Self(Arc::new(filter)),
            None => Self(Arc::new(Off)),
        })
    }

    fn filter(settings: &Settings) -> Arc<dyn Filter> {
        // The parsers give nothing else.
        settings.downcast_ref::<Self>().map_or_else(|| Arc::new(Off) as _, |own| own.0.clone())
    }
}

/// A filter that is not enabled.
#[derive(Debug)]
struct Off;

impl Filter for Off {
    fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
        Step::Continue
    }

    fn watches_all(&self) -> bool {
        false
    }
}

const NOT_ON_ROUTES: &str = "has no configuration for routes";

/// Whether a filter is enabled, which it is if nothing is said.
fn is_enabled(message: Option<&RuntimeFeatureFlag>, path: &Path<'_>) -> Result<bool, Reject> {
    let Some(message) = message else { return Ok(true) };
    match &message.default_value {
        Some(value) => Ok(value.value),
        None => Err(path.field("default_value").reject("is required")),
    }
}

/// A percentage as a part of one, or `default` percent.
fn share(message: Option<&Percent>, default: f64, path: &Path<'_>) -> Result<f64, Reject> {
    let percent = message.map_or(default, |percent| percent.value);
    if !(0.0..=100.0).contains(&percent) {
        return Err(path.reject("is not in 0 to 100"));
    }
    Ok(percent / 100.0)
}
