//! The names in a certificate.

use std::net::IpAddr;
use std::sync::Arc;

/// The subject alternative names of a certificate, each kind in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectNames {
    /// `uniformResourceIdentifier`.
    pub uris: Box<[Arc<str>]>,
    /// `dNSName`.
    pub dns_names: Box<[Arc<str>]>,
    /// `rfc822Name`.
    pub emails: Box<[Arc<str>]>,
    /// `iPAddress`.
    pub ips: Box<[IpAddr]>,
}

impl SubjectNames {
    /// Whether one of the DNS names stands for `host`, wildcards included (gRFC A101); for an
    /// address, whether it is among the addresses.
    #[must_use]
    pub fn is_of_host(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.ips.contains(&address);
        }
        self.dns_names.iter().any(|name| stands_for(name, host))
    }

    /// All names as text, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let texts = self.uris.iter().chain(&self.dns_names).chain(&self.emails);
        let mut all: Vec<String> = texts.map(|name| format!("{name:?}")).collect();
        all.extend(self.ips.iter().map(ToString::to_string));
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    }

    /// Whether a name has a character that none may have. What stands before a NUL would be taken
    /// for the whole name by programs in C.
    pub(super) fn has_control_character(&self) -> bool {
        let mut texts = self.uris.iter().chain(&self.dns_names).chain(&self.emails);
        texts.any(|name| name.chars().any(char::is_control))
    }
}

/// Whether the DNS name `name` of a certificate stands for `host`.
///
/// An asterisk is the whole of the leftmost label and stands for exactly one label. Case and a final
/// dot do not matter.
pub(super) fn stands_for(name: &str, host: &str) -> bool {
    let (name, host) = (absolute(name), absolute(host));
    if name.is_empty() || host.is_empty() {
        return false;
    }
    let Some(parent) = name.strip_prefix("*.") else {
        return !name.contains('*') && name.eq_ignore_ascii_case(host);
    };
    let is_plain = !parent.is_empty() && !parent.contains('*');
    is_plain
        && host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
}

fn absolute(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_dns_name() {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let named = SubjectNames { dns_names: ["10.0.0.1".into()].into(), ..Default::default() };
        assert!(!named.is_of_host("10.0.0.1"));
        let numbered = SubjectNames { ips: [address].into(), ..Default::default() };
        assert!(numbered.is_of_host("10.0.0.1") && !numbered.is_of_host("10.0.0.2"));
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for (name, host, expect) in [
            ("a.example.com", "a.example.com", true),
            ("A.Example.com.", "a.example.COM", true),
            ("a.example.com", "b.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.Example.com", "a.eXample.com.", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "*.example.com", true),
            ("a*.example.com", "ab.example.com", false),
            ("a.*.com", "a.example.com", false),
            ("*.*.com", "a.example.com", false),
            ("*", "example", false),
            ("*.", "example.", false),
            ("", "", false),
            (".", ".", false),
        ] {
            assert_eq!(stands_for(name, host), expect, "{name} {host}");
        }
    }
}
