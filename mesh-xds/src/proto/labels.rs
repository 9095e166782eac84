//! The labels in `envoy.config.core.v3.Metadata`, walked where they lie.

use super::wire::{Fields, WireError};

/// The key in an endpoint's metadata that `transport_socket_matches` are about.
const KEY: &str = "envoy.transport_socket_match";

/// Adds the texts that the metadata in `bytes` has for [`KEY`]. Values of other kinds are none.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    labels: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), WireError> {
    for field in Fields::new(bytes) {
        let field = field?;
        // `map<string, Struct> filter_metadata = 1`
        if field.number == 1 {
            let (key, value) = entry(field.bytes()?)?;
            if key == KEY {
                // A later entry for the key takes the place of an earlier one.
                labels.clear();
                fields(value, labels)?;
            }
        }
    }
    Ok(())
}

/// `map<string, Value> fields = 1` of a `Struct`.
fn fields<'a>(bytes: &'a [u8], labels: &mut Vec<(&'a str, &'a str)>) -> Result<(), WireError> {
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == 1 {
            let (name, value) = entry(field.bytes()?)?;
            if let Some(text) = text(value)? {
                labels.push((name, text));
            }
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::config::core::v3::Metadata;
    use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
    use prost::Message;

    use super::*;

    #[test]
    fn only_texts_under_the_key_are_labels() {
        let value = |kind| Value { kind: Some(kind) };
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
            let mut labels = Vec::new();
            read(&bytes, &mut labels).unwrap();
            assert_eq!(labels, expect);
        }
    }
}
