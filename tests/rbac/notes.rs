//! Filters that leave metadata for those after them, as far as the cases need Envoy's.

use std::fmt;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::header_to_metadata::v3 as headers;
use envoy_types::pb::envoy::extensions::filters::http::header_to_metadata::v3::config::ValueType;
use envoy_types::pb::envoy::extensions::filters::http::set_metadata::v3 as set;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Message};
use mesh_core::filter::{Context, Factory, Filter, Settings, Slot, Step};
use mesh_core::metadata::{Fields, Metadata, Value};
use mesh_core::request::RequestHead;
use prost::Message as _;

/// Envoy's `header_to_metadata`, of header fields that are there.
pub(crate) struct FromHeaders;

/// Envoy's `set_metadata`.
pub(crate) struct Fixed;

impl Factory for FromHeaders {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let config = headers::Config::decode(message).map_err(|why| why.to_string())?;
        Ok(Arc::new(Note::of(move |head, metadata| {
            for rule in &config.request_rules {
                let (Some(found), Some(to)) =
                    (head.headers.get(&rule.header), &rule.on_header_present)
                else {
                    continue;
                };
                let text = found.to_str().unwrap();
                let value = match to.r#type() {
                    ValueType::Number => Value::Number(text.parse().unwrap()),
                    ValueType::String => text.into(),
                    ValueType::ProtobufValue => panic!("not for these cases"),
                };
                let fields = Fields::from_iter([(to.key.as_str(), value)]);
                metadata.add(&to.metadata_namespace, fields).unwrap();
            }
        })))
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        base.clone().downcast::<Note>().unwrap()
    }
}

impl Factory for Fixed {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let config = set::Config::decode(message).map_err(|why| why.to_string())?;
        Ok(Arc::new(Note::of(move |_, metadata| {
            for one in &config.metadata {
                let content = one.value.as_ref().unwrap();
                metadata.add(&one.metadata_namespace, fields(content)).unwrap();
            }
        })))
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        base.clone().downcast::<Note>().unwrap()
    }
}

/// A filter that writes.
struct Note(Box<Write>);

type Write = dyn Fn(&RequestHead<'_>, &mut Metadata) + Send + Sync;

impl Note {
    fn of(write: impl Fn(&RequestHead<'_>, &mut Metadata) + Send + Sync + 'static) -> Self {
        Self(Box::new(write))
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note").finish_non_exhaustive()
    }
}

impl Filter for Note {
    fn poll_request(&self, _: &mut Slot, head: &RequestHead<'_>, cx: &mut Context<'_>) -> Step {
        self.0(head, &mut cx.metadata);
        Step::Continue
    }
}

fn fields(message: &Struct) -> Fields {
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
