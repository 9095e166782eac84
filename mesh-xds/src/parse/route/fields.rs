//! What the routes of servers change about header fields. Clients leave them alone, as gRPC does.

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use http::HeaderValue;
use mesh_core::route::{FieldChanges, FieldRules, NewField, Placing};

use crate::parse::field_name::writable;
use crate::parse::{Path, Reject};

/// The fields of one level: a route, a virtual host, or all of a route configuration.
#[derive(Clone, Copy)]
pub(super) struct Level<'a> {
    pub(super) request_add: &'a [HeaderValueOption],
    pub(super) request_remove: &'a [String],
    pub(super) response_add: &'a [HeaderValueOption],
    pub(super) response_remove: &'a [String],
}

/// `level!(message)`: its fields, which have the same names in all messages.
macro_rules! level {
    ($message:expr) => {
        $crate::parse::route::fields::Level {
            request_add: &$message.request_headers_to_add,
            request_remove: &$message.request_headers_to_remove,
            response_add: &$message.response_headers_to_add,
            response_remove: &$message.response_headers_to_remove,
        }
    };
}
pub(super) use level;

/// Adds what `level` at `path` changes, after what is in `rules`.
pub(super) fn extend(
    rules: &mut FieldRules,
    level: Level<'_>,
    path: &Path<'_>,
) -> Result<(), Reject> {
    let request = FieldChanges {
        remove: removed(level.request_remove, "request_headers_to_remove", path)?,
        add: added(level.request_add, "request_headers_to_add", path)?,
    };
    let response = FieldChanges {
        remove: removed(level.response_remove, "response_headers_to_remove", path)?,
        add: added(level.response_add, "response_headers_to_add", path)?,
    };
    rules.request.extend((!request.is_empty()).then_some(request));
    rules.response.extend((!response.is_empty()).then_some(response));
    Ok(())
}

fn removed(
    names: &[String],
    field: &str,
    path: &Path<'_>,
) -> Result<Vec<http::HeaderName>, Reject> {
    let names = names.iter().enumerate();
    names.map(|(at, name)| writable(name, &path.element(field, at))).collect()
}

fn added(
    options: &[HeaderValueOption],
    field: &str,
    path: &Path<'_>,
) -> Result<Vec<NewField>, Reject> {
    let mut all = Vec::with_capacity(options.len());
    for (at, option) in options.iter().enumerate() {
        all.extend(new_field(option, &path.element(field, at))?);
    }
    Ok(all)
}

/// `None` for one without a value, which Envoy drops.
fn new_field(option: &HeaderValueOption, path: &Path<'_>) -> Result<Option<NewField>, Reject> {
    let placing = placing(option, path)?;
    let header =
        option.header.as_ref().ok_or_else(|| path.field("header").reject("is required"))?;
    let path = path.field("header");
    let name = writable(&header.key, &path.field("key"))?;
    if !header.raw_value.is_empty() {
        return Err(path.field("raw_value").reject("is not supported"));
    }
    let path = path.field("value");
    let text = literal(&header.value, &path)?;
    if text.is_empty() && !option.keep_empty_value {
        return Ok(None);
    }
    let value = HeaderValue::try_from(text).map_err(|why| path.reject(why))?;
    Ok(Some(NewField { name, value, placing }))
}

#[expect(deprecated, reason = "control planes send `append` still")]
fn placing(option: &HeaderValueOption, path: &Path<'_>) -> Result<Placing, Reject> {
    let action = HeaderAppendAction::try_from(option.append_action);
    Ok(match (action, &option.append) {
        (Ok(HeaderAppendAction::AppendIfExistsOrAdd), Some(append)) if !append.value => {
            Placing::Overwrite
        }
        (Ok(HeaderAppendAction::AppendIfExistsOrAdd), _) => Placing::Append,
        (Ok(HeaderAppendAction::AddIfAbsent), _) => Placing::IfAbsent,
        (Ok(HeaderAppendAction::OverwriteIfExistsOrAdd), _) => Placing::Overwrite,
        (Ok(HeaderAppendAction::OverwriteIfExists), _) => Placing::OverwriteIfPresent,
        (Err(_), _) => return Err(path.field("append_action").reject("is unknown")),
    })
}

/// A value without commands, in which `%%` stands for `%`.
fn literal(value: &str, path: &Path<'_>) -> Result<String, Reject> {
    let text = value.replace("%%", "");
    match text.contains('%') {
        true => Err(path.reject("commands (%...%) are not supported")),
        false => Ok(value.replace("%%", "%")),
    }
}
