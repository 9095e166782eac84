//! The labels in `envoy.config.core.v3.Metadata`, walked where they lie.

use std::borrow::Cow;

use super::wire::{Fields, Value, WireError};

/// The key in an endpoint's metadata that `transport_socket_matches` are about.
const KEY: &str = "envoy.transport_socket_match";

/// The key of what load balancing and retries go by.
const LB: &str = "envoy.lb";

/// What the metadata of an endpoint says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// The texts under `envoy.transport_socket_match`. Values of other kinds are none.
    pub transport: Vec<(&'a str, &'a str)>,
    /// Texts, truth values and numbers under `envoy.lb`, as texts.
    pub lb: Vec<(&'a str, Cow<'a, str>)>,
}

/// Adds what the metadata in `bytes` says.
pub(super) fn read<'a>(bytes: &'a [u8], labels: &mut Labels<'a>) -> Result<(), WireError> {
    for field in Fields::new(bytes) {
        let field = field?;
        // `map<string, Struct> filter_metadata = 1`
        if field.number == 1 {
            let (key, value) = entry(field.bytes()?)?;
            // A later entry for a key takes the place of an earlier one.
            if key == KEY {
                labels.transport.clear();
                fields(value, |name, value| {
                    labels.transport.extend(text(value)?.map(|text| (name, text)));
                    Ok(())
                })?;
            } else if key == LB {
                labels.lb.clear();
                fields(value, |name, value| {
                    labels.lb.extend(scalar(value)?.map(|text| (name, text)));
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}

/// `map<string, Value> fields = 1` of a `Struct`.
fn fields<'a>(
    bytes: &'a [u8],
    mut add: impl FnMut(&'a str, &'a [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == 1 {
            let (name, value) = entry(field.bytes()?)?;
            add(name, value)?;
        }
    }
    Ok(())
}

/// Key and value of a map's entry.
fn entry(bytes: &[u8]) -> Result<(&str, &[u8]), WireError> {
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => key = field.text()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// `string_value = 3` of a `Value`, if that is its kind.
fn text(bytes: &[u8]) -> Result<Option<&str>, WireError> {
    let mut text = None;
    for field in Fields::new(bytes) {
        let field = field?;
        text = match field.number {
            3 => Some(field.text()?),
            // The members of the oneof.
            1 | 2 | 4..=6 => None,
            _ => text,
        };
    }
    Ok(text)
}

/// A `Value` as a text, if it is a text, a truth value or a number.
fn scalar(bytes: &[u8]) -> Result<Option<Cow<'_, str>>, WireError> {
    let mut text = None;
    for field in Fields::new(bytes) {
        let field = field?;
        text = match (field.number, field.value) {
            // The members of the oneof.
            (2, Value::Fixed64(bits)) => Some(f64::from_bits(bits).to_string().into()),
            (3, _) => Some(field.text()?.into()),
            (4, Value::Varint(number)) => Some(if number == 0 { "false" } else { "true" }.into()),
            (1 | 5 | 6, _) => None,
            (number @ (2 | 4), _) => return Err(WireError::Mismatch(number)),
            _ => text,
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::config::core::v3::Metadata;
    use envoy_types::pb::google::protobuf::{self, Struct, value::Kind};
    use prost::Message;

    use super::*;

    #[test]
    fn only_texts_under_the_key_are_labels() {
        let value = |kind| protobuf::Value { kind: Some(kind) };
        let of = |kind| Struct { fields: HashMap::from([("tlsMode".to_owned(), value(kind))]) };
        let metadata = |key: &str, value| Metadata {
            filter_metadata: HashMap::from([(key.to_owned(), value)]),
            ..Metadata::default()
        };
        let istio = || Kind::StringValue("istio".into());
        for (metadata, expect) in [
            (metadata(KEY, of(istio())), vec![("tlsMode", "istio")]),
            (metadata(KEY, of(Kind::BoolValue(true))), vec![]),
            (metadata("istio", of(istio())), vec![]),
            (Metadata::default(), vec![]),
        ] {
            let bytes = metadata.encode_to_vec();
            let mut labels = Labels::default();
            read(&bytes, &mut labels).unwrap();
            assert_eq!(labels.transport, expect);
            assert!(labels.lb.is_empty());
        }
    }

    #[test]
    fn scalars_for_load_balancing_are_texts() {
        for (kind, expect) in [
            (Kind::StringValue("v1".into()), Some("v1")),
            (Kind::BoolValue(true), Some("true")),
            (Kind::BoolValue(false), Some("false")),
            (Kind::NumberValue(1.5), Some("1.5")),
            (Kind::NumberValue(0.0), Some("0")),
            (Kind::NullValue(0), None),
        ] {
            let value = protobuf::Value { kind: Some(kind) };
            let fields = HashMap::from([("it".to_owned(), value)]);
            let filter_metadata = HashMap::from([(LB.to_owned(), Struct { fields })]);
            let bytes = Metadata { filter_metadata, ..Metadata::default() }.encode_to_vec();
            let mut labels = Labels::default();
            read(&bytes, &mut labels).unwrap();
            let found = labels.lb.first().map(|(name, text)| (*name, &**text));
            assert_eq!(found, expect.map(|text| ("it", text)));
        }
    }
}
