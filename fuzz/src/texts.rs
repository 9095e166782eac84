//! Short texts: paths, names, timeouts, and what is said of a peer.

use std::sync::Arc;

use mesh_core::deadline;
use mesh_core::identity::{
    Certificate, ForwardMode, Forwarded, Forwarding, Peer, Session, Shown, SpiffeId, TrustDomain,
};
use mesh_core::request::{EscapedSlashes, Paths, Rewritten};
use mesh_xds::bootstrap::ServerUri;
use mesh_xds::name::{ResourceName, ResourceType};

/// The first byte says how paths are rewritten; the rest is a path. What was rewritten stays, and
/// leads nowhere else.
pub(crate) fn paths(input: &[u8]) {
    let Some((options, path)) = input.split_first() else { return };
    let Ok(path) = std::str::from_utf8(path) else { return };
    let escaped_slashes = match options & 3 {
        0 => EscapedSlashes::Keep,
        1 => EscapedSlashes::Reject,
        2 => EscapedSlashes::Redirect,
        _ => EscapedSlashes::Unescape,
    };
    let (normalize, merge_slashes) = (options & 4 != 0, options & 8 != 0);
    let paths = Paths { escaped_slashes, normalize, merge_slashes };
    let (once, is_redirect) = match paths.rewrite(path) {
        Rewritten::To(path) => (path.into_owned(), false),
        Rewritten::Redirect(path) => (path, true),
        Rewritten::Refused => return,
    };
    assert!(!is_redirect || escaped_slashes == EscapedSlashes::Redirect);
    assert_eq!(paths.rewrite(&once), Rewritten::To(once.as_str().into()));
    if !once.starts_with('/') {
        return assert_eq!(once, path);
    }
    if normalize {
        let mut segments = once.split('/').filter_map(|segment| segment.split(';').next());
        assert!(!segments.any(|it| it == "." || it == ".."), "{once}");
        assert!(!once.contains('\\') && once.is_ascii(), "{once}");
    }
    assert!(!merge_slashes || !once.contains("//"), "{once}");
    if escaped_slashes != EscapedSlashes::Keep {
        let lower = once.to_ascii_lowercase();
        assert!(!lower.contains("%2f") && !lower.contains("%5c"), "{once}");
    }
}

/// The input is the value of `grpc-timeout`. What is written for what was read is never longer.
pub(crate) fn timeouts(input: &[u8]) {
    let Some(timeout) = deadline::parse(input) else { return };
    assert!((2..=9).contains(&input.len()));
    let written = deadline::format(timeout);
    let read = deadline::parse(written.as_bytes()).expect("what is written can be read");
    assert!(read <= timeout.max(std::time::Duration::from_nanos(1)), "{written:?}");
}

/// Names of resources, SPIFFE IDs and addresses of management servers.
pub(crate) fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in ResourceType::ALL {
        if let Ok(name) = ResourceName::parse(kind, text) {
            // The canonical form is canonical.
            assert_eq!(ResourceName::parse(kind, name.as_str()), Ok(name));
        }
    }
    assert_eq!(SpiffeId::parse(text).is_ok(), is_spiffe_id(text));
    if let Ok(id) = SpiffeId::parse(text) {
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        assert_eq!(TrustDomain::parse(id.trust_domain_str()), Ok(id.trust_domain()));
    }
    drop(ServerUri::parse(text));
}

/// The grammar of the specification, read by hand.
fn is_spiffe_id(text: &str) -> bool {
    let pieces: Vec<&str> = text.split('/').collect();
    let ["spiffe:", "", domain, path @ ..] = &*pieces else { return false };
    let is_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let is_path = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.len() <= 2048
        && (1..=255).contains(&domain.len())
        && domain.chars().all(is_domain)
        && path.iter().all(|it| !matches!(*it, "" | "." | "..") && it.chars().all(is_path))
}

/// The input is a subject, and names in lines. Nobody who reads what is said of them reads another
/// name, or anything of which they are not the value.
pub(crate) fn forwarded(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // A certificate with one has been refused.
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return;
    }
    let mut lines = text.split('\n');
    let subject = lines.next().unwrap_or_default();
    let (uris, dns_names): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.contains(':'));
    let shared = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    let certificate = Certificate {
        subject: subject.into(),
        uris: shared(&uris),
        dns_names: shared(&dns_names),
        ..Certificate::default()
    };
    let session = Session { certificate: Some(certificate), ..Session::default() };
    let peer = Peer { session: Some(session), ..Peer::default() };
    let mode = ForwardMode::SanitizeSet;
    let all = Forwarded { mode, subject: true, uri: true, dns: true, ..Forwarded::default() };
    let own = ["spiffe://td/me".into()];
    let shown = Shown { digest: &[1], own: &own, ..Shown::default() };
    let Forwarding::Replace(said) = all.of(&peer, &shown, &[]) else {
        panic!("it is said who is there");
    };
    let mut expect = vec![("By", "spiffe://td/me"), ("Hash", "01"), ("Subject", subject)];
    expect.extend(uris.iter().map(|uri| ("URI", *uri)));
    if uris.is_empty() {
        expect.push(("URI", ""));
    }
    expect.extend(dns_names.iter().map(|name| ("DNS", *name)));
    for reader in [Reader::Quotes, Reader::Backslashes] {
        let heard = heard(&said, reader);
        let keys = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, _)| key.to_string()).collect();
        let expect_keys: Vec<String> = keys(&expect);
        let heard_keys: Vec<String> = heard.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(heard_keys, expect_keys, "{said}");
        for ((key, value), (_, name)) in heard.iter().zip(&expect) {
            // Who has no backslash is named as is; the subject has its own ways to write them.
            assert!(value == name || name.contains('\\'), "{key} is {value:?} of {name:?}: {said}");
        }
    }
}

/// How `x-forwarded-client-cert` is read: the specification of the field says of quotes only that a
/// backslash stands before them.
#[derive(Clone, Copy)]
enum Reader {
    /// A quote behind a backslash is one; other backslashes are what they are.
    Quotes,
    /// Whatever stands behind a backslash is itself.
    Backslashes,
}

/// The keys and values of the field, of which there is one element.
fn heard(said: &str, reader: Reader) -> Vec<(String, String)> {
    let (mut pairs, mut key, mut value) = (Vec::new(), None, String::new());
    let mut is_quoted = false;
    let mut characters = said.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, reader) {
            ('\\', Reader::Quotes) if characters.peek() == Some(&'"') => {
                value.extend(characters.next());
            }
            ('\\', Reader::Backslashes) => value.extend(characters.next()),
            ('"', _) => is_quoted = !is_quoted,
            (';', _) if !is_quoted => pairs.push((key.take(), std::mem::take(&mut value))),
            (',', _) if !is_quoted => panic!("it is of two elements: {said}"),
            ('=', _) if !is_quoted && key.is_none() => key = Some(std::mem::take(&mut value)),
            _ => value.push(c),
        }
    }
    assert!(!is_quoted, "a quote is open: {said}");
    pairs.push((key, value));
    pairs.into_iter().map(|(key, value)| (key.unwrap_or_default(), value)).collect()
}
