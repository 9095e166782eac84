//! The subject of a certificate as text (RFC 2253).

use std::fmt::Write;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names of attribute types (RFC 2253 §2.3, and what OpenSSL adds).
const KEYWORDS: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// `name` as text: the last part first, separated by commas.
pub(super) fn rfc2253(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (at, part) in parts.into_iter().rev().enumerate() {
        if at > 0 {
            text.push(',');
        }
        for (at, attribute) in part.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            push(&mut text, attribute);
        }
    }
    text
}

fn push(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, word)| *word);
    text.push_str(keyword.unwrap_or(&oid));
    text.push('=');
    match attribute.as_str() {
        Ok(value) => escape(text, value),
        // Not a string: the bytes in hexadecimal.
        Err(_) => {
            text.push('#');
            for byte in attribute.as_slice() {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}

fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let is_special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        let is_at_end = (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
        if c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{byte:02X}");
            }
            continue;
        }
        if is_special || is_at_end {
            text.push('\\');
        }
        text.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        for (value, expect) in [
            ("plain", "plain"),
            ("a,b+c\"d\\e<f>g;h", "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h"),
            (" a b ", "\\ a b\\ "),
            ("#a#", "\\#a#"),
            ("a\0b", "a\\00b"),
            ("", ""),
        ] {
            let mut text = String::new();
            escape(&mut text, value);
            assert_eq!(text, expect);
        }
    }
}
