//! `Metadata` and the JSON-like values in it.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Message};
use mesh_core::metadata::{Fields, Metadata, Value};

use super::{Path, Reject};

/// The values in `message`. Typed ones are extensions' own, and are left out.
pub(super) fn metadata(
    message: Option<&core::Metadata>,
    path: &Path<'_>,
) -> Result<Metadata, Reject> {
    let mut metadata = Metadata::default();
    let Some(message) = message else { return Ok(metadata) };
    // In order, so that the same resource is always refused for the same reason.
    let mut namespaces: Vec<_> = message.filter_metadata.iter().collect();
    namespaces.sort_unstable_by_key(|(name, _)| *name);
    for (name, content) in namespaces {
        let refuse = |why| path.entry("filter_metadata", name).reject(why);
        metadata.add(name, fields(content)).map_err(refuse)?;
    }
    Ok(metadata)
}

/// How deep values are was bounded when the message was decoded.
pub(super) fn fields(message: &Struct) -> Fields {
    message.fields.iter().map(|(name, field)| (name.as_str(), value(field))).collect()
}

fn value(message: &Message) -> Value {
    match &message.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::NumberValue(number)) => Value::Number(*number),
        Some(Kind::StringValue(text)) => text.as_str().into(),
        Some(Kind::ListValue(list)) => Value::List(list.values.iter().map(value).collect()),
        Some(Kind::StructValue(message)) => Value::Struct(fields(message)),
    }
}
