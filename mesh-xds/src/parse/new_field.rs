//! Header fields that a configuration adds (`HeaderValueOption`).

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use http::HeaderValue;
use mesh_core::route::{FieldChanges, NewField, Placing};

use super::field_name::writable;
use super::{Path, Reject};

/// The changes that only add the fields in `options`, which are those of the field `field` at
/// `path`.
pub(super) fn additions(
    options: &[HeaderValueOption],
    field: &str,
    path: &Path<'_>,
) -> Result<FieldChanges, Reject> {
    Ok(FieldChanges { remove: Vec::new(), add: new_fields(options, field, path)? })
}

/// The fields in `options`, which are those of the field `field` at `path`.
pub(super) fn new_fields(
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
        true => Err(path.reject("command operators (%...%) are not supported")),
        false => Ok(value.replace("%%", "%")),
    }
}
