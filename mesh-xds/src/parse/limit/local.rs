//! `LocalRateLimit` to the filter that keeps limits by itself.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::{
    LocalRateLimitDescriptor, VhRateLimitsOptions, XRateLimitHeadersRfcVersion,
};
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use http::StatusCode;
use mesh_core::filter::{Factory, Filter, LocalResponse, Settings as Any};
use mesh_core::limit::{Entry, VirtualHostRules};
use mesh_core::matcher::Fraction;
use prost::Message as _;
use rustc_hash::FxHashSet;

use super::bucket::fill;
use super::rule::{Place, rules};
use crate::limit::{Described, Limiter, LocalLimit, Settings};
use crate::parse::filter::NodeCluster;
use crate::parse::new_field::additions;
use crate::parse::{Path, Reject, matcher};

/// Envoy's default for `max_dynamic_descriptors`.
const DYNAMIC: u32 = 20;

/// gRPC's RESOURCE_EXHAUSTED.
const RESOURCE_EXHAUSTED: u8 = 8;

/// Makes the filters that keep limits by themselves. For clients and for servers.
#[derive(Clone, Debug, Default)]
pub struct LocalRateLimitFactory {
    cluster: NodeCluster,
}

impl LocalRateLimitFactory {
    pub(in crate::parse) fn new(cluster: NodeCluster) -> Self {
        Self { cluster }
    }

    fn read(&self, message: &[u8], needs_bucket: bool) -> Result<Any, String> {
        let message = LocalRateLimit::decode(message).map_err(|why| why.to_string())?;
        let settings = settings(&message, &self.cluster.name(), &Path::root());
        let settings = settings.map_err(|why| why.to_string())?;
        if needs_bucket && message.token_bucket.is_none() {
            return Err("token_bucket: is required in a route".into());
        }
        Ok(Arc::new(settings))
    }
}

impl Factory for LocalRateLimitFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    }

    fn parse(&self, message: &[u8]) -> Result<Any, String> {
        self.read(message, false)
    }

    fn parse_override(&self, message: &[u8]) -> Result<Any, String> {
        self.read(message, true)
    }

    fn build(&self, base: &Any, overrides: &[Any]) -> Arc<dyn Filter> {
        // The buckets belong to the settings: they outlive the routes that they are built for.
        let settings = overrides.last().unwrap_or(base).clone();
        Arc::new(LocalLimit { settings: settings.downcast().ok() })
    }
}

fn settings(
    message: &LocalRateLimit,
    cluster: &Arc<str>,
    path: &Path<'_>,
) -> Result<Settings, Reject> {
    if message.stat_prefix.is_empty() {
        return Err(path.field("stat_prefix").reject("is empty"));
    }
    if message.local_cluster_rate_limit.is_some() {
        return Err(path.field("local_cluster_rate_limit").reject("is not supported"));
    }
    if message.stage > 10 {
        return Err(path.field("stage").reject("is above 10"));
    }
    let bucket = message.token_bucket.as_ref();
    let default = bucket.map(|bucket| fill(bucket, &path.field("token_bucket"))).transpose()?;
    let most = message.max_dynamic_descriptors.map_or(DYNAMIC, |most| most.value);
    if most == 0 {
        return Err(path.field("max_dynamic_descriptors").reject("is 0"));
    }
    let rules = rules(&message.rate_limits, Place::LocalFilter, cluster, path)?;
    let status = status(message.status.as_ref(), &path.field("status"))?;
    let mut settings = Settings {
        default,
        described: described(&message.descriptors, path)?,
        most: usize::try_from(most).unwrap_or(usize::MAX),
        always_default: message.always_consume_default_token_bucket.is_none_or(|it| it.value),
        shared: Limiter::default(),
        per_connection: message.local_rate_limit_per_downstream_connection,
        enabled: share(message.filter_enabled.as_ref(), &path.field("filter_enabled"))?,
        enforced: share(message.filter_enforced.as_ref(), &path.field("filter_enforced"))?,
        status,
        grpc: match message.rate_limited_as_resource_exhausted {
            true => RESOURCE_EXHAUSTED,
            false => LocalResponse::grpc_code(status),
        },
        stage: message.stage,
        virtual_host: virtual_host(message.vh_rate_limits, &path.field("vh_rate_limits"))?,
        rules,
        tells_rest: tells_rest(message, path)?,
        tells_wait: message.enable_retry_after_header,
        response: additions(&message.response_headers_to_add, "response_headers_to_add", path)?,
        request: additions(
            &message.request_headers_to_add_when_not_enforced,
            "request_headers_to_add_when_not_enforced",
            path,
        )?,
    };
    settings.shared = settings.limiter();
    Ok(settings)
}

/// The status in `message`, or 429 for none and for what is below 400.
pub(super) fn status(message: Option<&HttpStatus>, path: &Path<'_>) -> Result<StatusCode, Reject> {
    let Some(status) = message else { return Ok(StatusCode::TOO_MANY_REQUESTS) };
    let known = u16::try_from(status.code).ok().filter(|code| (100..600).contains(code));
    let known = known.and_then(|code| StatusCode::from_u16(code).ok());
    let status = known.ok_or_else(|| path.field("code").reject("is no HTTP status"))?;
    Ok(if status.as_u16() < 400 { StatusCode::TOO_MANY_REQUESTS } else { status })
}

/// Of requests; none if nothing is said.
fn share(message: Option<&RuntimeFractionalPercent>, path: &Path<'_>) -> Result<Fraction, Reject> {
    message.map_or(Ok(Fraction::per_million(0)), |message| matcher::fraction(message, path))
}

fn virtual_host(option: i32, path: &Path<'_>) -> Result<VirtualHostRules, Reject> {
    match VhRateLimitsOptions::try_from(option) {
        Ok(VhRateLimitsOptions::Override) => Ok(VirtualHostRules::Override),
        Ok(VhRateLimitsOptions::Include) => Ok(VirtualHostRules::Include),
        Ok(VhRateLimitsOptions::Ignore) => Ok(VirtualHostRules::Ignore),
        Err(_) => Err(path.reject("is unknown")),
    }
}

fn tells_rest(message: &LocalRateLimit, path: &Path<'_>) -> Result<bool, Reject> {
    match XRateLimitHeadersRfcVersion::try_from(message.enable_x_ratelimit_headers) {
        Ok(XRateLimitHeadersRfcVersion::Off) => Ok(false),
        Ok(XRateLimitHeadersRfcVersion::DraftVersion03) => Ok(true),
        Err(_) => Err(path.field("enable_x_ratelimit_headers").reject("is unknown")),
    }
}

fn described(
    messages: &[LocalRateLimitDescriptor],
    path: &Path<'_>,
) -> Result<Vec<Described>, Reject> {
    let (mut all, mut seen) = (Vec::with_capacity(messages.len()), FxHashSet::default());
    for (at, message) in messages.iter().enumerate() {
        let path = path.element("descriptors", at);
        if message.entries.is_empty() {
            return Err(path.field("entries").reject("is empty"));
        }
        let mut entries = Vec::with_capacity(message.entries.len());
        for (at, entry) in message.entries.iter().enumerate() {
            if entry.key.is_empty() {
                return Err(path.element("entries", at).field("key").reject("is empty"));
            }
            entries.push(Entry::new(&entry.key.as_str().into(), entry.value.as_str()));
        }
        let entries: Box<[Entry]> = entries.into();
        if !seen.insert(entries.clone()) {
            return Err(path.field("entries").reject("stand twice"));
        }
        let at = path.field("token_bucket");
        let bucket = message.token_bucket.as_ref().ok_or_else(|| at.reject("is required"))?;
        let (fill, is_shadow) = (fill(bucket, &at)?, message.shadow_mode);
        all.push(Described { entries, fill, is_shadow });
    }
    Ok(all)
}
