//! `HeaderValueOption`: header fields that are added.

use std::borrow::Cow;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use http::HeaderValue;

use crate::limit::{FieldOption, Mode};
use crate::parse::field_name::writable;
use crate::parse::{Path, Reject};

/// The fields in `messages`, which are those of the field `name` at `path`.
pub(super) fn fields(
    messages: &[HeaderValueOption],
    name: &str,
    path: &Path<'_>,
) -> Result<Vec<FieldOption>, Reject> {
    let mut fields = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        fields.extend(field(message, &path.element(name, at))?);
    }
    Ok(fields)
}

/// The field in `message`; `None` if it is empty, and such fields are not to be added.
fn field(message: &HeaderValueOption, path: &Path<'_>) -> Result<Option<FieldOption>, Reject> {
    let mode = mode(message, path)?;
    let path = path.field("header");
    let header = message.header.as_ref().ok_or_else(|| path.reject("is required"))?;
    let name = writable(&header.key, &path.field("key"))?;
    let at = path.field("value");
    let value = match header.raw_value.is_empty() {
        true => literal(&header.value, &at)?.into_owned().into_bytes(),
        false => header.raw_value.clone(),
    };
    if value.is_empty() && !message.keep_empty_value {
        return Ok(None);
    }
    let value = HeaderValue::from_bytes(&value);
    let value = value.map_err(|_| at.reject("is no header field's value"))?;
    Ok(Some(FieldOption { name, value, mode }))
}

/// Values are formats, of which only `%%` is known here.
fn literal<'v>(value: &'v str, path: &Path<'_>) -> Result<Cow<'v, str>, Reject> {
    if !value.contains('%') {
        return Ok(Cow::Borrowed(value));
    }
    let parts: Vec<&str> = value.split("%%").collect();
    match parts.iter().any(|part| part.contains('%')) {
        true => Err(path.reject("command operators (%...%) are not supported")),
        false => Ok(Cow::Owned(parts.join("%"))),
    }
}

#[expect(deprecated, reason = "control planes send the older field")]
fn mode(message: &HeaderValueOption, path: &Path<'_>) -> Result<Mode, Reject> {
    if let Some(append) = &message.append {
        return Ok(if append.value { Mode::Append } else { Mode::Replace });
    }
    Ok(match HeaderAppendAction::try_from(message.append_action) {
        Ok(HeaderAppendAction::AppendIfExistsOrAdd) => Mode::Append,
        Ok(HeaderAppendAction::AddIfAbsent) => Mode::AddIfAbsent,
        Ok(HeaderAppendAction::OverwriteIfExistsOrAdd) => Mode::Replace,
        Ok(HeaderAppendAction::OverwriteIfExists) => Mode::ReplaceIfPresent,
        Err(_) => return Err(path.field("append_action").reject("is unknown")),
    })
}
