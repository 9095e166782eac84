//! `HTTPFault` (gRFC A33, Envoy's `envoy.filters.http.fault`) to the filter that makes requests
//! fail.
//!
//! Keys of Envoy's runtime, which could switch faults while it runs, are ignored as in gRPC.

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_rate_limit::LimitType;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::{FaultDelay, FaultRateLimit};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use http::StatusCode;
use mesh_core::fault::{
    Abort, AbortKind, Active, Delay, DelayKind, Denominator, Fault, Percentage, Throttle,
    ThrottleKind,
};
use mesh_core::filter::{Factory, Filter, Inject, Settings};
use prost::Message as _;

use super::value::positive_duration;
use super::{Path, Reject, matcher};
use crate::proto;

/// Makes the filters that make requests fail. For clients and for servers.
#[derive(Clone, Debug, Default)]
pub struct FaultFactory {
    /// Those of all filters together (gRFC A33).
    active: Arc<Active>,
}

impl Factory for FaultFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let message = HttpFault::decode(message).map_err(|why| why.to_string())?;
        let fault = fault(&message, &Path::root()).map_err(|why| why.to_string())?;
        Ok(Arc::new(fault))
    }

    fn build(&self, base: &Settings, overrides: &[Settings]) -> Arc<dyn Filter> {
        self.build_named(&Arc::default(), base, overrides)
    }

    fn build_named(
        &self,
        name: &Arc<str>,
        base: &Settings,
        overrides: &[Settings],
    ) -> Arc<dyn Filter> {
        let settings = overrides.last().unwrap_or(base).clone();
        // The parser gives nothing else. If it did, nothing would fail.
        let fault = settings.downcast::<Fault>().unwrap_or_default();
        Arc::new(Inject::new(fault, self.active.clone()).named(name.clone()))
    }
}

fn fault(message: &HttpFault, path: &Path<'_>) -> Result<Fault, Reject> {
    let mut fault = Fault::default();
    let at = path.field("delay");
    fault.delay = message.delay.as_ref().map(|it| delay(it, &at)).transpose()?;
    let at = path.field("abort");
    fault.abort = message.abort.as_ref().map(|it| abort(it, &at)).transpose()?;
    let at = path.field("response_rate_limit");
    fault.throttle =
        message.response_rate_limit.as_ref().map(|it| throttle(it, &at)).transpose()?;
    let headers = message.headers.iter().enumerate();
    let headers = headers.map(|(at, it)| matcher::header(it, &path.element("headers", at)));
    fault.headers = headers.collect::<Result<_, _>>()?;
    let cluster = Some(message.upstream_cluster.as_str()).filter(|name| !name.is_empty());
    fault.upstream_cluster = cluster.map(Into::into);
    fault.downstream_nodes = message.downstream_nodes.iter().map(|it| it.as_str().into()).collect();
    fault.max_active = message.max_active_faults.map(|most| most.value);
    fault.notes = message.filter_metadata.as_ref().map(proto::fields);
    Ok(fault)
}

fn delay(message: &FaultDelay, path: &Path<'_>) -> Result<Delay, Reject> {
    let kind = match message.fault_delay_secifier {
        Some(FaultDelaySecifier::FixedDelay(time)) => {
            let at = path.field("fixed_delay");
            let time = positive_duration(Some(time), &at)?;
            DelayKind::Fixed(time.ok_or_else(|| at.reject("is required"))?)
        }
        Some(FaultDelaySecifier::HeaderDelay(_)) => DelayKind::Header,
        None => return Err(path.reject("has neither fixed_delay nor header_delay")),
    };
    Ok(Delay { kind, percentage: percentage(message.percentage, path)? })
}

fn abort(message: &FaultAbort, path: &Path<'_>) -> Result<Abort, Reject> {
    let kind = match message.error_type {
        Some(ErrorType::HttpStatus(code)) => {
            let code = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
            let status = code.and_then(|code| StatusCode::from_u16(code).ok());
            let at = path.field("http_status");
            AbortKind::Http(status.ok_or_else(|| at.reject("is not in 200 to 599"))?)
        }
        // Codes that there are not stand for UNKNOWN (gRFC A33).
        Some(ErrorType::GrpcStatus(code)) => {
            AbortKind::Grpc(u8::try_from(code).ok().filter(|code| *code <= 16).unwrap_or(UNKNOWN))
        }
        Some(ErrorType::HeaderAbort(_)) => AbortKind::Header,
        None => return Err(path.reject("has no error_type that is known")),
    };
    let body = match message.response_body.as_str() {
        "" => "fault filter abort".into(),
        body => body.to_owned().into(),
    };
    Ok(Abort { kind, percentage: percentage(message.percentage, path)?, body })
}

fn throttle(message: &FaultRateLimit, path: &Path<'_>) -> Result<Throttle, Reject> {
    let kind = match message.limit_type {
        Some(LimitType::FixedLimit(limit)) => {
            let kib = NonZeroU64::new(limit.limit_kbps);
            let at = path.field("fixed_limit.limit_kbps");
            ThrottleKind::Fixed(kib.ok_or_else(|| at.reject("is 0"))?)
        }
        Some(LimitType::HeaderLimit(_)) => ThrottleKind::Header,
        None => return Err(path.reject("has neither fixed_limit nor header_limit")),
    };
    Ok(Throttle { kind, percentage: percentage(message.percentage, path)? })
}

/// None of them if nothing is said.
fn percentage(message: Option<FractionalPercent>, path: &Path<'_>) -> Result<Percentage, Reject> {
    let Some(message) = message else { return Ok(Percentage::default()) };
    let denominator = match DenominatorType::try_from(message.denominator) {
        Ok(DenominatorType::Hundred) => Denominator::Hundred,
        Ok(DenominatorType::TenThousand) => Denominator::TenThousand,
        Ok(DenominatorType::Million) => Denominator::Million,
        Err(_) => return Err(path.field("percentage.denominator").reject("is unknown")),
    };
    Ok(Percentage { numerator: message.numerator, denominator })
}

/// gRPC's UNKNOWN.
const UNKNOWN: u8 = 2;
