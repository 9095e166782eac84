//! `metadata.filter_metadata["mesh.breaker"]`: breakers of endpoints, for which xDS has no field.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind;
use mesh_core::backoff::Backoff;
use mesh_core::breaker::{Config, Ratio};

use crate::parse::{Path, Reject};

/// The name under which a cluster's metadata says when endpoints are left alone.
pub(crate) const MESH_BREAKER: &str = "mesh.breaker";

/// What the metadata of a cluster says under [`MESH_BREAKER`]. `path` is the metadata's.
pub(super) fn config(
    metadata: Option<&Metadata>,
    path: &Path<'_>,
) -> Result<Option<Arc<Config>>, Reject> {
    let Some(ours) = metadata.and_then(|it| it.filter_metadata.get(MESH_BREAKER)) else {
        return Ok(None);
    };
    let path = path.entry("filter_metadata", MESH_BREAKER);
    let mut settings = Settings::default();
    // In order, so that the same resource is always refused for the same reason.
    let mut fields: Vec<_> = ours.fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in fields {
        settings.set(name, value).map_err(|why| path.entry("fields", name).reject(why))?;
    }
    settings.config().map(|config| Some(Arc::new(config))).map_err(|why| path.reject(why))
}

/// What is said, and otherwise the defaults.
struct Settings {
    consecutive: Option<u32>,
    failure_percent: Option<f64>,
    min_requests: NonZeroU32,
    window: Duration,
    wait: Duration,
    max_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consecutive: None,
            failure_percent: None,
            min_requests: const { NonZeroU32::new(20).unwrap() },
            window: Duration::from_secs(10),
            wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(30),
        }
    }
}

impl Settings {
    fn set(&mut self, name: &str, value: &Value) -> Result<(), &'static str> {
        match name {
            "consecutive" => self.consecutive = Some(count(value)?.get()),
            "failure_percent" => self.failure_percent = Some(percent(value)?),
            "min_requests" => self.min_requests = count(value)?,
            "window" => self.window = seconds(value)?,
            "wait" => self.wait = seconds(value)?,
            "max_wait" => self.max_wait = seconds(value)?,
            _ => return Err("is unknown"),
        }
        Ok(())
    }

    fn config(self) -> Result<Config, &'static str> {
        let ratio = self.failure_percent.map(|percent| Ratio {
            failures: percent / 100.0,
            requests: self.min_requests,
            window: self.window,
        });
        let config = match (self.consecutive, ratio) {
            (None, None) => return Err("has neither consecutive nor failure_percent"),
            (Some(failures), None) => Config::consecutive(failures),
            (None, Some(ratio)) => Config::ratio(ratio),
            (Some(failures), Some(ratio)) => {
                Config::consecutive(failures).and_then(|config| config.or_ratio(ratio))
            }
        };
        if self.max_wait < self.wait {
            return Err("has a max_wait below wait");
        }
        let backoff = Backoff { initial: self.wait, max: self.max_wait, ..Backoff::CONNECTION };
        // What is in range here is in range there.
        config.and_then(|config| config.backoff(backoff)).map_err(|_| "is out of range")
    }
}

fn number(value: &Value) -> Result<f64, &'static str> {
    match value.kind {
        Some(Kind::NumberValue(number)) => Ok(number),
        _ => Err("is no number"),
    }
}

/// More than are counted is a slip of the pen.
fn count(value: &Value) -> Result<NonZeroU32, &'static str> {
    let number = number(value)?;
    // A float is written without a point where it is whole.
    let whole = number.to_string().parse().ok().and_then(NonZeroU32::new);
    whole.filter(|whole| whole.get() <= 500_000).ok_or("is not a whole number from 1 to 500000")
}

fn percent(value: &Value) -> Result<f64, &'static str> {
    let number = number(value)?;
    let is_share = number > 0.0 && number <= 100.0;
    is_share.then_some(number).ok_or("is not above 0 and at most 100")
}

/// From a millisecond, as breakers count them, to a year.
fn seconds(value: &Value) -> Result<Duration, &'static str> {
    const YEAR: f64 = 365.0 * 86_400.0;
    let number = number(value)?;
    let is_in_range = (0.001..=YEAR).contains(&number);
    let duration = is_in_range.then(|| Duration::try_from_secs_f64(number).ok()).flatten();
    duration.ok_or("is not from a millisecond to a year, in seconds")
}
