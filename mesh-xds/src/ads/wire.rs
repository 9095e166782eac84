//! Reading one field of an encoded protobuf message without decoding the rest.

/// The last value of string field 1 at the top level of `message`, empty if it is not there.
///
/// `None` if the message is malformed at its top level, has a group (which proto3 does not), or the
/// string is not UTF-8. Takes time linear in the number of top-level fields.
pub(super) fn first_field(message: &[u8]) -> Option<&str> {
    let mut rest = message;
    let mut value: &[u8] = &[];
    while !rest.is_empty() {
        let (key, after) = varint(rest)?;
        let (field, after) = match key & 7 {
            0 => (None, varint(after)?.1),
            1 => (None, after.get(8..)?),
            2 => {
                let (length, after) = varint(after)?;
                let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(bytes), after)
            }
            5 => (None, after.get(4..)?),
            _ => return None,
        };
        match (key >> 3, field) {
            (0, _) | (1, None) => return None,
            (1, Some(bytes)) => value = bytes,
            _ => {}
        }
        rest = after;
    }
    std::str::from_utf8(value).ok()
}

/// The number at the start of `bytes`, of at most ten bytes, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
    use envoy_types::pb::envoy::config::listener::v3::Listener;
    use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[test]
    fn every_type_has_its_name_in_field_one() {
        let name = "näme".to_owned();
        let listener = Listener { name: name.clone(), stat_prefix: "x".into(), ..<_>::default() };
        let route = RouteConfiguration { name: name.clone(), ..<_>::default() };
        let cluster = Cluster { name: name.clone(), alt_stat_name: "x".into(), ..<_>::default() };
        let endpoints = ClusterLoadAssignment { cluster_name: name.clone(), ..<_>::default() };
        for bytes in [
            listener.encode_to_vec(),
            route.encode_to_vec(),
            cluster.encode_to_vec(),
            endpoints.encode_to_vec(),
        ] {
            assert_eq!(first_field(&bytes), Some("näme"));
        }
    }

    #[test]
    fn last_value_wins_and_absence_is_empty() {
        assert_eq!(first_field(b""), Some(""));
        assert_eq!(first_field(b"\x0a\x01a\x10\x05\x0a\x01b"), Some("b"));
        assert_eq!(first_field(b"\x11\0\0\0\0\0\0\0\0\x1d\0\0\0\0\x0a\x01a"), Some("a"));
    }

    #[test]
    fn malformed_messages_have_no_name() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x02a",
            b"\x0a\x01\xff",
            b"\x08\x01",
            b"\x0b\x0c",
            b"\x02\x00",
            b"\x11\0",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(first_field(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(decoded) = ClusterLoadAssignment::decode(&*bytes) {
                // Groups are the one thing that the decoder skips and we refuse.
                let name = first_field(&bytes);
                prop_assert!(name.is_none() || name == Some(&decoded.cluster_name));
            }
        }
    }
}
