//! Certificates as text that can stand in a header field.

/// What `certificates` (DER) are in PEM, URL-encoded, as Envoy writes them.
pub(super) fn encoded<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for der in certificates {
        text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
        for line in der.chunks(LINE) {
            line.chunks(3).for_each(|bytes| push(bytes, &mut text));
            text.push_str("%0A");
        }
        text.push_str("-----END%20CERTIFICATE-----%0A");
    }
    text
}

/// Bytes of a line of 64 digits (RFC 7468).
const LINE: usize = 48;

/// Up to three bytes as four digits in base 64 (RFC 4648 §4).
fn push(bytes: &[u8], into: &mut String) {
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| u32::from(*byte));
    let all = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
        match at <= bytes.len() {
            true => digit(all >> shift & 63, into),
            false => into.push_str("%3D"),
        }
    }
}

fn digit(value: u32, into: &mut String) {
    let from = |first: char, offset: u32| {
        char::from_u32(u32::from(first) + value - offset).unwrap_or_default()
    };
    match value {
        0..=25 => into.push(from('A', 0)),
        26..=51 => into.push(from('a', 26)),
        52..=61 => into.push(from('0', 52)),
        62 => into.push_str("%2B"),
        _ => into.push_str("%2F"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_pem_in_a_url() {
        let of = |bytes: &[u8]| {
            let text = encoded([bytes]);
            let text = text.strip_prefix("-----BEGIN%20CERTIFICATE-----%0A").unwrap();
            text.strip_suffix("-----END%20CERTIFICATE-----%0A").unwrap().to_owned()
        };
        // RFC 4648 §10, and the digits that a URL cannot have.
        for (bytes, expect) in [
            (&b""[..], ""),
            (b"f", "Zg%3D%3D%0A"),
            (b"fo", "Zm8%3D%0A"),
            (b"foo", "Zm9v%0A"),
            (b"foobar", "Zm9vYmFy%0A"),
            (b"\x00\x10\x83\xfb\xef\xbe\xff\xff\xff", "ABCD%2B%2B%2B%2B%2F%2F%2F%2F%0A"),
            (b"0123456789", "MDEyMzQ1Njc4OQ%3D%3D%0A"),
        ] {
            assert_eq!(of(bytes), expect);
        }
        let lines = of(&[0; 49]);
        assert_eq!(lines, format!("{}%0AAA%3D%3D%0A", "A".repeat(64)));
        assert_eq!(encoded([&b"f"[..], b"f"]), encoded([&b"f"[..]]).repeat(2));
    }
}
