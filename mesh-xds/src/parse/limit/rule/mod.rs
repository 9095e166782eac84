//! `RateLimit`: what requests are counted as.

mod action;

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::RateLimit as Message;
use envoy_types::pb::envoy::config::route::v3::rate_limit::r#override::OverrideSpecifier;
use envoy_types::pb::envoy::config::route::v3::rate_limit::{
    HitsAddend, Override as LimitMessage, XRateLimitOption,
};
use envoy_types::pb::envoy::r#type::v3::RateLimitUnit;
use mesh_core::limit::{Hits, LimitSource, Override, Rule, Unit};
use mesh_core::matcher::Field;

use self::action::{action, metadata_key};
use crate::parse::{Path, Reject};

/// Envoy's bounds.
const MOST_HITS: u64 = 1_000_000_000;
const LAST_STAGE: u32 = 10;

/// Where rules stand, which decides what they may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parse) enum Place {
    /// In a route or a virtual host.
    Route,
    /// In the configuration of a filter that asks a service.
    Filter,
    /// In the configuration of a filter with limits of its own.
    LocalFilter,
}

/// The rules in `messages`, which are those of `rate_limits` at `path`. `cluster` is the name of
/// this node's own.
pub(in crate::parse) fn rules(
    messages: &[Message],
    place: Place,
    cluster: &Arc<str>,
    path: &Path<'_>,
) -> Result<Vec<Rule>, Reject> {
    let each = messages.iter().enumerate();
    each.map(|(at, message)| rule(message, place, cluster, &path.element("rate_limits", at)))
        .collect()
}

fn rule(
    message: &Message,
    place: Place,
    cluster: &Arc<str>,
    path: &Path<'_>,
) -> Result<Rule, Reject> {
    let stage = message.stage.map_or(0, |stage| stage.value);
    if stage > LAST_STAGE {
        return Err(path.field("stage").reject("is above 10"));
    }
    let is_route = place == Place::Route;
    for (name, is_refused) in [
        ("stage", message.stage.is_some() && !is_route),
        ("disable_key", !message.disable_key.is_empty() && !is_route),
        ("limit", message.limit.is_some() && place == Place::LocalFilter),
        ("apply_on_stream_done", message.apply_on_stream_done),
    ] {
        if is_refused {
            return Err(path.field(name).reject("is not supported here"));
        }
    }
    if message.actions.is_empty() {
        return Err(path.field("actions").reject("is empty"));
    }
    let actions = message.actions.iter().enumerate();
    let actions = actions.map(|(at, it)| action(it, cluster, &path.element("actions", at)));
    // In routes they change nothing, as in Envoy.
    let hits = message.hits_addend.as_ref().filter(|_| !is_route);
    Ok(Rule {
        stage,
        has_disable_key: !message.disable_key.is_empty(),
        actions: actions.collect::<Result<_, _>>()?,
        limit: message.limit.as_ref().map(|it| limit(it, &path.field("limit"))).transpose()?,
        hits: hits.map(|it| self::hits(it, &path.field("hits_addend"))).transpose()?,
        gives_back: hits.is_some_and(|it| it.is_negative_hits),
        tells_rest: tells_rest(message.x_ratelimit_option, &path.field("x_ratelimit_option"))?,
    })
}

fn tells_rest(option: i32, path: &Path<'_>) -> Result<Option<bool>, Reject> {
    match XRateLimitOption::try_from(option) {
        Ok(XRateLimitOption::Unspecified) => Ok(None),
        Ok(XRateLimitOption::Off) => Ok(Some(false)),
        Ok(XRateLimitOption::DraftVersion03) => Ok(Some(true)),
        Err(_) => Err(path.reject("is unknown")),
    }
}

fn hits(message: &HitsAddend, path: &Path<'_>) -> Result<Hits, Reject> {
    match (&message.number, message.format.as_str()) {
        (Some(_), format) if !format.is_empty() => Err(path.reject("has both number and format")),
        (Some(number), _) => {
            let number = Some(number.value).filter(|number| *number <= MOST_HITS);
            let number = number.and_then(|number| u32::try_from(number).ok());
            let number = number.ok_or_else(|| path.field("number").reject("is above 1000000000"));
            number.map(Hits::Fixed)
        }
        (None, "") => Err(path.reject("has neither number nor format")),
        (None, format) => {
            let name = format.strip_prefix("%REQ(").and_then(|rest| rest.strip_suffix(")%"));
            let path = path.field("format");
            let name = name.ok_or_else(|| path.reject("only %REQ(name)% is supported"))?;
            Field::new(name).map(Hits::Header).map_err(|why| path.reject(why))
        }
    }
}

fn limit(message: &LimitMessage, path: &Path<'_>) -> Result<LimitSource, Reject> {
    match &message.override_specifier {
        Some(OverrideSpecifier::DynamicMetadata(message)) => {
            let path = path.field("dynamic_metadata.metadata_key");
            let (namespace, path) = metadata_key(message.metadata_key.as_ref(), &path)?;
            Ok(LimitSource::Metadata { namespace, path })
        }
        Some(OverrideSpecifier::RateLimit(message)) => {
            let unit = RateLimitUnit::try_from(message.unit).ok();
            let unit = unit.and_then(|unit| Unit::named(unit.as_str_name()));
            let unit = unit.ok_or_else(|| path.field("rate_limit.unit").reject("is unknown"))?;
            Ok(LimitSource::Fixed(Override { requests: message.requests_per_unit, unit }))
        }
        None => Err(path.reject("has no override_specifier that is known")),
    }
}
