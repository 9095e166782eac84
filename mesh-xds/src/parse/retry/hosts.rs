//! Where requests are sent again.

use std::num::NonZeroU32;

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{
    RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority,
};
use envoy_types::pb::envoy::extensions::retry::host::omit_canary_hosts::v3::OmitCanaryHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::host::omit_host_metadata::v3::OmitHostMetadataConfig;
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::value::Kind;
use mesh_core::retry::{Hosts, Priorities};

use crate::parse::value::{is_type, unpack};
use crate::parse::{Path, Reject};

/// The endpoints that `message` keeps retries from.
pub(super) fn hosts(message: &RetryPolicy, parent: &Path<'_>) -> Result<Hosts, Reject> {
    /// Looking further than that finds nothing new.
    const MOST: u32 = 1_000;
    let mut hosts = Hosts::default();
    for (at, predicate) in message.retry_host_predicate.iter().enumerate() {
        add(predicate, &mut hosts, &parent.element("retry_host_predicate", at))?;
    }
    let attempts = message.host_selection_retry_max_attempts;
    let path = parent.field("host_selection_retry_max_attempts");
    let attempts = u64::try_from(attempts).map_err(|_| path.reject("is negative"))?;
    if attempts > 0 {
        hosts.attempts = u32::try_from(attempts).unwrap_or(MOST).min(MOST);
    }
    if let Some(message) = &message.retry_priority {
        hosts.priorities = Some(priorities(message, &parent.field("retry_priority"))?);
    }
    Ok(hosts)
}

fn add(predicate: &RetryHostPredicate, hosts: &mut Hosts, path: &Path<'_>) -> Result<(), Reject> {
    let config = predicate.config_type.as_ref().map(|config| match config {
        retry_host_predicate::ConfigType::TypedConfig(any) => any,
    });
    let is = |name: &str, has_type: fn(&Any) -> bool| match config {
        Some(any) => has_type(any),
        None => predicate.name == name,
    };
    if is("envoy.retry_host_predicates.previous_hosts", |any| {
        is_type::<PreviousHostsPredicate>(&any.type_url)
    }) {
        hosts.avoid_previous = true;
        return Ok(());
    }
    if is("envoy.retry_host_predicates.omit_canary_hosts", |any| {
        is_type::<OmitCanaryHostsPredicate>(&any.type_url)
    }) {
        hosts.omit.push(vec![("canary".into(), "true".into())]);
        return Ok(());
    }
    let Some(any) = config else { return Err(path.field("name").reject("is unknown")) };
    let path = path.field("typed_config");
    match unpack::<OmitHostMetadataConfig>(any, &path)? {
        Some(config) => {
            hosts.omit.extend(labels(&config, &path)?);
            Ok(())
        }
        None => Err(path.reject(format_args!("{} is not supported", any.type_url))),
    }
}

/// The labels in `envoy.lb` of the hosts that are left out; `None` leaves none out.
fn labels(
    config: &OmitHostMetadataConfig,
    path: &Path<'_>,
) -> Result<Option<Vec<(String, String)>>, Reject> {
    let metadata = config.metadata_match.as_ref();
    let Some(wanted) = metadata.and_then(|metadata| metadata.filter_metadata.get("envoy.lb"))
    else {
        return Ok(None);
    };
    let path = path.field("metadata_match");
    let path = path.entry("filter_metadata", "envoy.lb");
    let mut labels = Vec::with_capacity(wanted.fields.len());
    for (name, value) in &wanted.fields {
        let text = match &value.kind {
            Some(Kind::StringValue(text)) => text.clone(),
            Some(Kind::BoolValue(flag)) => flag.to_string(),
            Some(Kind::NumberValue(number)) => number.to_string(),
            _ => return Err(path.entry("fields", name).reject("is not a string, bool or number")),
        };
        labels.push((name.clone(), text));
    }
    labels.sort();
    Ok((!labels.is_empty()).then_some(labels))
}

/// The priorities that `message` keeps retries from.
fn priorities(message: &RetryPriority, path: &Path<'_>) -> Result<Priorities, Reject> {
    let Some(retry_priority::ConfigType::TypedConfig(any)) = &message.config_type else {
        return Err(path.field("typed_config").reject("is required"));
    };
    let path = path.field("typed_config");
    let Some(config) = unpack::<PreviousPrioritiesConfig>(any, &path)? else {
        return Err(path.reject(format_args!("{} is not supported", any.type_url)));
    };
    let update_frequency = u32::try_from(config.update_frequency).ok().and_then(NonZeroU32::new);
    let above = || path.field("update_frequency").reject("is not above 0");
    Ok(Priorities { update_frequency: update_frequency.ok_or_else(above)? })
}
