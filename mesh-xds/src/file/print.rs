//! Resources as text: the reverse of reading them.
//!
//! Fields have their proto names, so that what is printed looks like what people write, and can be
//! read again. Messages of types that are not known print as their type and their bytes in base64:
//! a dump must not fail for one extension.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    SerializeOptions, Value,
};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use thiserror::Error;

use super::diagnose::message_of;
use crate::proto;

/// Whether fields that hold secrets are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They print as `[redacted]`, as in Envoy's config dump.
    Redact,
    /// They print.
    Show,
}

/// Why a resource cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PrintError {
    /// The type is not among the known ones.
    #[error("unknown type `{0}`")]
    UnknownType(String),
    /// The bytes are not a message of the type.
    #[error("not a valid {type_name}: {why}")]
    Invalid {
        /// The message name.
        type_name: String,
        /// What the decoder said.
        why: String,
    },
    /// The text could not be written.
    #[error("{0}")]
    Format(String),
}

/// Prints an encoded resource as YAML, with its `@type` first.
///
/// # Errors
///
/// The type is not known, or the bytes are not a message of it.
pub fn yaml(type_url: &str, value: &[u8], secrets: Secrets) -> Result<String, PrintError> {
    let resource = resource(type_url, value, secrets)?;
    serde_yaml_ng::to_string(&resource).map_err(|error| PrintError::Format(error.to_string()))
}

/// Prints an encoded resource as JSON over several lines, with its `@type` first.
///
/// # Errors
///
/// As [`yaml`].
pub fn json(type_url: &str, value: &[u8], secrets: Secrets) -> Result<String, PrintError> {
    let resource = resource(type_url, value, secrets)?;
    serde_json::to_string_pretty(&resource).map_err(|error| PrintError::Format(error.to_string()))
}

fn resource<'a>(
    type_url: &'a str,
    value: &[u8],
    secrets: Secrets,
) -> Result<TypedMessage<'a>, PrintError> {
    let descriptor = message_of(proto::pool(), type_url)
        .ok_or_else(|| PrintError::UnknownType(type_url.to_owned()))?;
    let message = DynamicMessage::decode(descriptor.clone(), value).map_err(|error| {
        PrintError::Invalid { type_name: descriptor.full_name().to_owned(), why: error.to_string() }
    })?;
    Ok(TypedMessage { type_url, message, style: Style { secrets, depth: 0 } })
}

#[derive(Debug, Clone, Copy)]
struct Style {
    secrets: Secrets,
    depth: usize,
}

impl Style {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

/// A message that says its type, as in `Any` and at the top.
struct TypedMessage<'a> {
    type_url: &'a str,
    message: DynamicMessage,
    style: Style,
}

impl Serialize for TypedMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("@type", self.type_url)?;
        if is_well_known(&self.message.descriptor()) {
            map.serialize_entry("value", &Printed { message: &self.message, style: self.style })?;
        } else {
            fields(&mut map, &self.message, self.style)?;
        }
        map.end()
    }
}

struct Printed<'a> {
    message: &'a DynamicMessage,
    style: Style,
}

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = self.message.descriptor();
        if descriptor.full_name() == "google.protobuf.Any" {
            return any(self.message, self.style, serializer);
        }
        if is_well_known(&descriptor) {
            return self.message.serialize_with_options(serializer, &SerializeOptions::new());
        }
        let mut map = serializer.serialize_map(None)?;
        fields(&mut map, self.message, self.style)?;
        map.end()
    }
}

fn fields<M: SerializeMap>(
    map: &mut M,
    message: &DynamicMessage,
    style: Style,
) -> Result<(), M::Error> {
    for (field, value) in message.fields() {
        if style.secrets == Secrets::Redact && proto::is_sensitive(field.full_name()) {
            map.serialize_entry(field.name(), "[redacted]")?;
        } else {
            map.serialize_entry(field.name(), &FieldValue { field: &field, value, style })?;
        }
    }
    Ok(())
}

fn any<S: Serializer>(
    message: &DynamicMessage,
    style: Style,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let type_url = message.get_field_by_name("type_url");
    let type_url = type_url.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
    let value = message.get_field_by_name("value");
    let value = value.as_ref().and_then(|value| value.as_bytes()).cloned().unwrap_or_default();

    // Bytes in an `Any` are outside the decoder's own recursion limit, so they count here.
    let known = message_of(proto::pool(), type_url).filter(|_| style.depth <= MAX_DEPTH);
    let decoded = known.and_then(|it| DynamicMessage::decode(it, value.clone()).ok());
    match decoded {
        Some(message) => {
            TypedMessage { type_url, message, style: style.below() }.serialize(serializer)
        }
        None => {
            let mut map = serializer.serialize_map(Some(2))?;
            map.serialize_entry("@type", type_url)?;
            map.serialize_entry("value", &STANDARD.encode(value))?;
            map.end()
        }
    }
}

struct FieldValue<'a> {
    field: &'a FieldDescriptor,
    value: &'a Value,
    style: Style,
}

impl Serialize for FieldValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.field.kind();
        if let Some(items) = self.value.as_list() {
            let mut list = serializer.serialize_seq(Some(items.len()))?;
            for value in items {
                list.serialize_element(&Single { kind: &kind, value, style: self.style })?;
            }
            return list.end();
        }
        let Some(entries) = self.value.as_map() else {
            let single = Single { kind: &kind, value: self.value, style: self.style };
            return single.serialize(serializer);
        };
        let entry = kind.as_message().ok_or_else(|| S::Error::custom("not a map field"))?;
        let kind = entry.map_entry_value_field().kind();
        let mut sorted: Vec<_> =
            entries.iter().map(|(key, value)| (key_text(key), value)).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut map = serializer.serialize_map(Some(sorted.len()))?;
        for (key, value) in sorted {
            map.serialize_entry(&key, &Single { kind: &kind, value, style: self.style })?;
        }
        map.end()
    }
}

struct Single<'a> {
    kind: &'a Kind,
    value: &'a Value,
    style: Style,
}

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            // JSON numbers are doubles to most readers; proto-JSON writes 64 bits as text.
            Value::I64(value) => serializer.collect_str(value),
            Value::U64(value) => serializer.collect_str(value),
            Value::F32(value) => float(f64::from(*value), serializer, |s| s.serialize_f32(*value)),
            Value::F64(value) => float(*value, serializer, |s| s.serialize_f64(*value)),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Value::EnumNumber(number) => {
                let known = self.kind.as_enum().and_then(|it| it.get_value(*number));
                match known {
                    Some(value) => serializer.serialize_str(value.name()),
                    None => serializer.serialize_i32(*number),
                }
            }
            Value::Message(message) => {
                Printed { message, style: self.style.below() }.serialize(serializer)
            }
            Value::List(_) | Value::Map(_) => Err(S::Error::custom("a list within a list")),
        }
    }
}

fn float<S: Serializer>(
    value: f64,
    serializer: S,
    finite: impl FnOnce(S) -> Result<S::Ok, S::Error>,
) -> Result<S::Ok, S::Error> {
    if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_infinite() {
        serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        finite(serializer)
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// Messages with a JSON form of their own.
fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf"
}

/// Messages within messages, beyond which the bytes of an `Any` stay bytes.
const MAX_DEPTH: usize = 64;
