//! The JSON-like values of protobuf, and those of metadata.

#[cfg(feature = "tls")]
use envoy_types::pb::google::protobuf::ListValue;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Message};
use mesh_core::metadata::{Fields, Value};

/// The fields of `message`. How deep values are was bounded when it was decoded.
pub(crate) fn fields(message: &Struct) -> Fields {
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

/// The message with these fields.
#[cfg(feature = "tls")]
pub(crate) fn structure(fields: &Fields) -> Struct {
    let each = fields.iter().map(|(name, field)| (name.to_owned(), message(field)));
    Struct { fields: each.collect() }
}

#[cfg(feature = "tls")]
fn message(value: &Value) -> Message {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(*number),
        Value::String(text) => Kind::StringValue(text.to_string()),
        Value::List(all) => {
            Kind::ListValue(ListValue { values: all.iter().map(message).collect() })
        }
        Value::Struct(fields) => Kind::StructValue(structure(fields)),
    };
    Message { kind: Some(kind) }
}
