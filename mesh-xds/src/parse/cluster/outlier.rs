//! When endpoints are ejected (gRFC A50, Envoy's outlier detection).

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;
use envoy_types::pb::google::protobuf::UInt32Value;
use mesh_core::outlier::{Config, Consecutive, FailurePercentage, Percent, SuccessRate};

use crate::parse::value::{optional_duration, positive_duration};
use crate::parse::{Path, Reject};

pub(super) fn config(
    message: Option<&OutlierDetection>,
    path: &Path<'_>,
) -> Result<Option<Config>, Reject> {
    let Some(message) = message else { return Ok(None) };
    let mut config = Config::default();
    for (name, duration, into) in [
        ("interval", message.interval, &mut config.interval),
        ("base_ejection_time", message.base_ejection_time, &mut config.base_ejection_time),
        ("max_ejection_time", message.max_ejection_time, &mut config.max_ejection_time),
    ] {
        if let Some(duration) = positive_duration(duration, &path.field(name))? {
            *into = duration;
        }
    }
    let jitter = path.field("max_ejection_time_jitter");
    config.max_ejection_time_jitter =
        optional_duration(message.max_ejection_time_jitter, &jitter)?.unwrap_or_default();
    config.always_eject_one = message.always_eject_one_host.is_some_and(|always| always.value);
    config.split_local_origin = message.split_external_local_origin_errors;
    counts(message, &mut config);
    for (name, value, into) in percentages(message, &mut config) {
        if let Some(value) = value {
            let above = || path.field(name).reject("is above 100");
            *into = Percent::new(value.value).ok_or_else(above)?;
        }
    }
    Ok(Some(config))
}

fn counts(message: &OutlierDetection, config: &mut Config) {
    let SuccessRate { minimum_hosts, request_volume, stdev_factor, .. } = &mut config.success_rate;
    let rate = [
        (message.success_rate_minimum_hosts, minimum_hosts),
        (message.success_rate_request_volume, request_volume),
        (message.success_rate_stdev_factor, stdev_factor),
    ];
    let FailurePercentage { minimum_hosts, request_volume, .. } = &mut config.failure_percentage;
    let share = [
        (message.failure_percentage_minimum_hosts, minimum_hosts),
        (message.failure_percentage_request_volume, request_volume),
    ];
    let of = |row: &mut Consecutive, value: Option<UInt32Value>| {
        row.threshold = value.map_or(row.threshold, |value| value.value);
    };
    of(&mut config.consecutive_5xx, message.consecutive_5xx);
    of(&mut config.consecutive_gateway_failure, message.consecutive_gateway_failure);
    of(&mut config.consecutive_local_origin_failure, message.consecutive_local_origin_failure);
    for (value, into) in rate.into_iter().chain(share) {
        *into = value.map_or(*into, |value| value.value);
    }
}

type Percentage<'a> = (&'static str, Option<UInt32Value>, &'a mut Percent);

fn percentages<'a>(message: &OutlierDetection, config: &'a mut Config) -> [Percentage<'a>; 9] {
    let (rate, share) = (&mut config.success_rate, &mut config.failure_percentage);
    [
        ("max_ejection_percent", message.max_ejection_percent, &mut config.max_ejection_percent),
        (
            "enforcing_consecutive_5xx",
            message.enforcing_consecutive_5xx,
            &mut config.consecutive_5xx.enforcing,
        ),
        (
            "enforcing_consecutive_gateway_failure",
            message.enforcing_consecutive_gateway_failure,
            &mut config.consecutive_gateway_failure.enforcing,
        ),
        (
            "enforcing_consecutive_local_origin_failure",
            message.enforcing_consecutive_local_origin_failure,
            &mut config.consecutive_local_origin_failure.enforcing,
        ),
        ("enforcing_success_rate", message.enforcing_success_rate, &mut rate.enforcing),
        (
            "enforcing_local_origin_success_rate",
            message.enforcing_local_origin_success_rate,
            &mut rate.enforcing_local_origin,
        ),
        (
            "failure_percentage_threshold",
            message.failure_percentage_threshold,
            &mut share.threshold,
        ),
        (
            "enforcing_failure_percentage",
            message.enforcing_failure_percentage,
            &mut share.enforcing,
        ),
        (
            "enforcing_failure_percentage_local_origin",
            message.enforcing_failure_percentage_local_origin,
            &mut share.enforcing_local_origin,
        ),
    ]
}
