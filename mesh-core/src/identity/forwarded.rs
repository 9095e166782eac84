//! What a server says to its application of who has connected (`x-forwarded-client-cert`).

use std::fmt::Write;
use std::sync::Arc;

use super::peer::{Certificate, Peer};
use super::pem;
use super::spiffe_id::SpiffeId;

/// What becomes of the field `x-forwarded-client-cert` of requests
/// (`forward_client_cert_details` and `set_current_client_cert_details` of a connection manager).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// What becomes of what arrives.
    pub mode: ForwardMode,
    /// Whether the certificate itself is told (`cert`).
    pub cert: bool,
    /// Whether it is with all that were shown beside it (`chain`).
    pub chain: bool,
    /// Whether the certificate's subject is told (`subject`).
    pub subject: bool,
    /// Whether its URI names are (`uri`).
    pub uri: bool,
    /// Whether its DNS names are (`dns`).
    pub dns: bool,
}

/// What becomes of a field that arrives. Envoy believes every peer with a certificate; here only
/// those are believed that the application has named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardMode {
    /// It is removed (`SANITIZE`).
    #[default]
    Sanitize,
    /// It is kept, of peers that are trusted and show a certificate (`FORWARD_ONLY`).
    ForwardOnly,
    /// The peer is added, to what those have sent (`APPEND_FORWARD`).
    AppendForward,
    /// It says who the peer is, and nothing else (`SANITIZE_SET`).
    SanitizeSet,
    /// It is kept, of peers that are trusted (`ALWAYS_FORWARD_ONLY`). Without a certificate nobody
    /// is.
    AlwaysForwardOnly,
}

/// What a handshake has shown besides the peer's own certificate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The SHA-256 of the peer's certificate.
    pub digest: &'a [u8],
    /// All certificates of the peer (DER), its own first.
    pub chain: &'a [&'a [u8]],
    /// The URI names of the server's own certificate.
    pub own: &'a [Arc<str>],
}

/// What is done with the field of each request of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// It is removed.
    #[default]
    Remove,
    /// It is left as it is.
    Keep,
    /// This stands after what is there.
    Append(String),
    /// This stands in its place.
    Replace(String),
}

impl Forwarded {
    /// What is done with the field on a connection of `peer`, whose handshake has `shown` this. What
    /// peers in `trusted` say is believed.
    #[must_use]
    pub fn of(&self, peer: &Peer, shown: &Shown<'_>, trusted: &[SpiffeId]) -> Forwarding {
        let Some(certificate) = peer.certificate() else { return Forwarding::Remove };
        let is_trusted = certificate.spiffe_id.as_ref().is_some_and(|id| trusted.contains(id));
        match (self.mode, is_trusted) {
            (ForwardMode::ForwardOnly | ForwardMode::AlwaysForwardOnly, true) => Forwarding::Keep,
            (ForwardMode::AppendForward, true) => {
                Forwarding::Append(self.element(certificate, shown))
            }
            (ForwardMode::AppendForward, false) | (ForwardMode::SanitizeSet, _) => {
                Forwarding::Replace(self.element(certificate, shown))
            }
            (ForwardMode::ForwardOnly | ForwardMode::AlwaysForwardOnly, false)
            | (ForwardMode::Sanitize, _) => Forwarding::Remove,
        }
    }

    /// What is said of one peer: `By=…;Hash=…;Cert="…";Chain="…";Subject="…";URI=…;DNS=…`.
    fn element(&self, certificate: &Certificate, shown: &Shown<'_>) -> String {
        let mut all: Vec<String> =
            shown.own.iter().map(|uri| format!("By={}", quoted(uri))).collect();
        let mut hash = String::from("Hash=");
        for byte in shown.digest {
            // Writing to a text cannot fail.
            write!(hash, "{byte:02x}").ok();
        }
        all.push(hash);
        if self.cert {
            all.push(format!("Cert=\"{}\"", pem::encoded([&*certificate.der])));
        }
        if self.chain {
            all.push(format!("Chain=\"{}\"", pem::encoded(shown.chain.iter().copied())));
        }
        if self.subject {
            all.push(format!("Subject=\"{}\"", escaped(&certificate.subject)));
        }
        if self.uri {
            let uris = certificate.uris.iter().map(|uri| format!("URI={}", quoted(uri)));
            all.extend(uris);
            if certificate.uris.is_empty() {
                all.push("URI=".into());
            }
        }
        if self.dns {
            all.extend(certificate.dns_names.iter().map(|name| format!("DNS={}", quoted(name))));
        }
        all.join(";")
    }
}

/// A name in quotes if it would otherwise say more than itself. A backslash, which no good name has,
/// is written as it would be in a URI.
fn quoted(value: &str) -> String {
    match value.contains([',', ';', '=', '"', '\\']) {
        true => format!("\"{}\"", value.replace('\\', "%5C").replace('"', "\\\"")),
        false => value.to_owned(),
    }
}

/// A subject between quotes.
///
/// Readers disagree about whether a backslash before a backslash means anything, and so about where
/// the quotes end. An escaped quote or backslash is therefore written in the other way that RFC 2253
/// has for it.
fn escaped(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    let mut characters = subject.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => match characters.next() {
                Some('"') => text.push_str("\\22"),
                Some('\\') | None => text.push_str("\\5C"),
                Some(other) => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Session;

    fn peer(id: &str) -> Peer {
        let certificate = Certificate {
            spiffe_id: Some(SpiffeId::parse(id).unwrap()),
            uris: [id.into()].into(),
            dns_names: ["a.example".into(), "b;URI=spiffe://td/admin".into()].into(),
            subject: "O=\"td\"".into(),
            der: (*b"f").into(),
        };
        let session = Session { certificate: Some(certificate), ..Session::default() };
        Peer { session: Some(session), ..Peer::default() }
    }

    #[test]
    fn only_who_is_trusted_speaks_for_others() {
        let trusted = [SpiffeId::parse("spiffe://td/gateway").unwrap()];
        let (gateway, other) = (peer("spiffe://td/gateway"), peer("spiffe://td/other"));
        let said = || "By=spiffe://td/me;Hash=0aff".to_owned();
        let (append, replace) = (|| Forwarding::Append(said()), || Forwarding::Replace(said()));
        for (mode, of_gateway, of_other) in [
            (ForwardMode::Sanitize, Forwarding::Remove, Forwarding::Remove),
            (ForwardMode::ForwardOnly, Forwarding::Keep, Forwarding::Remove),
            (ForwardMode::AlwaysForwardOnly, Forwarding::Keep, Forwarding::Remove),
            (ForwardMode::AppendForward, append(), replace()),
            (ForwardMode::SanitizeSet, replace(), replace()),
        ] {
            let forwarded = Forwarded { mode, ..Forwarded::default() };
            let own = ["spiffe://td/me".into()];
            let shown = Shown { digest: &[10, 255], own: &own, ..Shown::default() };
            let of = |peer: &Peer| forwarded.of(peer, &shown, &trusted);
            assert_eq!((of(&gateway), of(&other)), (of_gateway, of_other), "{mode:?}");
            assert_eq!(of(&Peer::default()), Forwarding::Remove, "{mode:?}");
        }
    }

    #[test]
    fn names_cannot_say_more_than_themselves() {
        let mode = ForwardMode::SanitizeSet;
        let all = Forwarded { mode, cert: true, chain: true, subject: true, uri: true, dns: true };
        let expect = concat!(
            r#"Hash=01;Cert="-----BEGIN%20CERTIFICATE-----%0AZg%3D%3D%0A-----END%20CERTIFICATE-----%0A";"#,
            r#"Chain="-----BEGIN%20CERTIFICATE-----%0AZg%3D%3D%0A-----END%20CERTIFICATE-----%0A"#,
            r#"-----BEGIN%20CERTIFICATE-----%0AZm8%3D%0A-----END%20CERTIFICATE-----%0A";"#,
            r#"Subject="O=\"td\"";URI=spiffe://td/a;DNS=a.example;"#,
            r#"DNS="b;URI=spiffe://td/admin""#
        );
        let shown = Shown { digest: &[1], chain: &[b"f", b"fo"], own: &[] };
        let found = all.of(&peer("spiffe://td/a"), &shown, &[]);
        assert_eq!(found, Forwarding::Replace(expect.into()));
    }

    /// Readers do not agree on where a quoted value ends after a backslash.
    #[test]
    fn a_backslash_never_moves_the_end_of_a_value() {
        for (subject, expect) in [
            (r"CN=a\,b", r"CN=a\,b"),
            (r#"CN=a\"b"#, r"CN=a\22b"),
            (r"CN=a\\", r"CN=a\5C"),
            (r#"CN=a\\\";URI=x"#, r"CN=a\5C\22;URI=x"),
            ("CN=a\\", r"CN=a\5C"),
        ] {
            assert_eq!(escaped(subject), expect, "{subject}");
        }
        assert_eq!(quoted("a\\"), r#""a%5C""#);
        assert_eq!(quoted(r#"a\";URI=x"#), r#""a%5C\";URI=x""#);
    }
}
