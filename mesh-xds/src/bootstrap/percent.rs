//! Percent-encoding (RFC 3986) of the three places where a bootstrap needs it.

/// `text` with every byte escaped that may not stand in a path. `/` is kept.
pub(super) fn encode_path(text: &str) -> String {
    encode(text, |byte| is_unreserved_or_delimiter(byte) || matches!(byte, b':' | b'@' | b'/'))
}

/// `text` with every byte escaped that may not stand in an authority. `/` is escaped.
pub(super) fn encode_authority(text: &str) -> String {
    encode(text, |byte| {
        is_unreserved_or_delimiter(byte) || matches!(byte, b':' | b'@' | b'[' | b']')
    })
}

/// `text` without escapes; `None` if an escape is malformed or the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let [high, low] = [digit(rest.next()?)?, digit(rest.next()?)?];
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).ok()
}

fn encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn is_unreserved_or_delimiter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_slashes_and_authorities_do_not() {
        assert_eq!(encode_path("a/b c?d#e[f]:8080%é"), "a/b%20c%3Fd%23e%5Bf%5D:8080%25%C3%A9");
        assert_eq!(encode_authority("a/b c[::]:8080"), "a%2Fb%20c[::]:8080");
    }

    #[test]
    fn decoding_undoes_encoding() {
        for text in ["", "plain", "a/b c?d%é", "%"] {
            assert_eq!(decode(&encode_path(text)).as_deref(), Some(text));
            assert_eq!(decode(&encode_authority(text)).as_deref(), Some(text));
        }
        for text in ["%", "%4", "%4g", "%+1", "%ff"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
