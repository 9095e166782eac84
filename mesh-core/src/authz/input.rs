//! What conditions read, as bytes.

use std::fmt::Write as _;
use std::net::SocketAddr;

use http::header::{CONTENT_TYPE, COOKIE, HeaderName, TE};

use super::Facts;
use crate::identity::Certificate;
use crate::matcher::Field;
use crate::request::{Protocol, RequestHead};

/// What a condition reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A header field or pseudo header of the request (Envoy's `HttpRequestHeaderMatchInput`).
    Header(Field),
    /// The name that the client has asked for in TLS (SNI); empty without one.
    ServerName,
    /// The address that the client comes from, without the port.
    SourceIp,
    /// The port that the client comes from.
    SourcePort,
    /// The address that the client has connected to, without the port.
    DestinationIp,
    /// The port that the client has connected to.
    DestinationPort,
    /// The URI names in the client's certificate, joined with `,`. Like everything in certificates,
    /// they cannot be known without TLS, and are absent without a certificate.
    UriNames,
    /// The DNS names in the client's certificate, joined with `,`.
    DnsNames,
    /// The subject of the client's certificate (RFC 2253); absent if it is empty.
    Subject,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It cannot be known here.
    Unavailable,
    /// There is no such thing.
    Absent,
    /// There is, in one or several readings.
    Present,
}

impl Input {
    /// Shows `see` every way to read it. There are several where a header field has several values:
    /// each of them, and all of them joined.
    pub(super) fn read(&self, facts: &Facts<'_>, see: &mut dyn FnMut(&[u8])) -> Seen {
        match self {
            Self::Header(field) => Self::read_field(field, facts, see),
            Self::ServerName => {
                let Some(peer) = facts.peer else { return Seen::Unavailable };
                let name = peer.session.as_ref().and_then(|session| session.server_name.as_deref());
                shown(name.unwrap_or_default().as_bytes(), see)
            }
            Self::SourceIp => read_address(facts.source(), see),
            Self::SourcePort => read_port(facts.source(), see),
            Self::DestinationIp => read_address(facts.destination(), see),
            Self::DestinationPort => read_port(facts.destination(), see),
            Self::UriNames => read_names(facts, |certificate| &certificate.uris, see),
            Self::DnsNames => read_names(facts, |certificate| &certificate.dns_names, see),
            Self::Subject => {
                let one =
                    |certificate: &'_ Certificate, see: &mut dyn FnMut(&[u8])| match &*certificate
                        .subject
                    {
                        "" => Seen::Absent,
                        subject => shown(subject.as_bytes(), see),
                    };
                read_certificate(facts, one, see)
            }
        }
    }

    /// As [`read`](Self::read) of a header field.
    pub(super) fn read_field(field: &Field, facts: &Facts<'_>, see: &mut dyn FnMut(&[u8])) -> Seen {
        let Some(head) = facts.head else { return Seen::Unavailable };
        match field {
            Field::Method => shown(head.method.as_str().as_bytes(), see),
            Field::Authority => shown(head.authority.as_bytes(), see),
            Field::Scheme => shown(head.scheme.as_bytes(), see),
            Field::Path if !facts.path_is_plain => Seen::Unavailable,
            Field::Path => match head.query {
                None => shown(head.path.as_bytes(), see),
                Some(query) => {
                    joined(|| [head.path, query].map(str::as_bytes).into_iter(), b"?", see);
                    Seen::Present
                }
            },
            // As the client has sent it, also for gRPC (gRFC A41).
            Field::ContentType => read_values(&CONTENT_TYPE, head, see),
            Field::Header(name) => read_values(name, head, see),
        }
    }
}

fn read_values(name: &HeaderName, head: &RequestHead<'_>, see: &mut dyn FnMut(&[u8])) -> Seen {
    // Of one hop only, which gRPC's transports keep to themselves (gRFC A41).
    if *name == TE && head.protocol == Protocol::Grpc {
        return Seen::Absent;
    }
    let values = || head.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    let mut each = values();
    let Some(first) = each.next() else { return Seen::Absent };
    if each.next().is_none() {
        return shown(first, see);
    }
    // HTTP/2 splits cookies, and defines how they belong together (RFC 9113 § 8.2.3).
    if *name == COOKIE {
        joined(values, b"; ", see);
        return Seen::Present;
    }
    values().for_each(&mut *see);
    joined(values, b",", see);
    Seen::Present
}

fn shown(value: &[u8], see: &mut dyn FnMut(&[u8])) -> Seen {
    see(value);
    Seen::Present
}

/// Shows `parts` as one. Up to [`STACK`] bytes take no allocation.
fn joined<'a, I: Iterator<Item = &'a [u8]>>(
    parts: impl Fn() -> I,
    separator: &[u8],
    see: &mut dyn FnMut(&[u8]),
) {
    let total = parts().map(|part| part.len() + separator.len()).sum();
    let (mut stack, mut heap) = ([0_u8; STACK], Vec::new());
    let buffer = if total <= STACK {
        &mut stack[..]
    } else {
        heap.resize(total, 0);
        &mut heap[..]
    };
    let mut end = 0;
    for (at, part) in parts().enumerate() {
        for piece in [if at == 0 { b"" } else { separator }, part] {
            if let Some(place) = buffer.get_mut(end..end + piece.len()) {
                place.copy_from_slice(piece);
            }
            end += piece.len();
        }
    }
    see(buffer.get(..end).unwrap_or_default());
}

/// A Unix domain socket has neither address nor port: nobody can say what they would be.
fn read_address(address: Option<SocketAddr>, see: &mut dyn FnMut(&[u8])) -> Seen {
    let Some(address) = address else { return Seen::Unavailable };
    written(format_args!("{}", address.ip().to_canonical()), see)
}

fn read_port(address: Option<SocketAddr>, see: &mut dyn FnMut(&[u8])) -> Seen {
    let Some(address) = address else { return Seen::Unavailable };
    written(format_args!("{}", address.port()), see)
}

/// Shows what is written, which the longest address does not overflow.
fn written(text: std::fmt::Arguments<'_>, see: &mut dyn FnMut(&[u8])) -> Seen {
    let mut line = Line { bytes: [0; 64], length: 0 };
    match line.write_fmt(text) {
        Ok(()) => shown(line.bytes.get(..line.length).unwrap_or_default(), see),
        Err(std::fmt::Error) => Seen::Unavailable,
    }
}

struct Line {
    bytes: [u8; 64],
    length: usize,
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn read_names(
    facts: &Facts<'_>,
    names: impl Fn(&Certificate) -> &[std::sync::Arc<str>],
    see: &mut dyn FnMut(&[u8]),
) -> Seen {
    let all = |certificate: &'_ Certificate, see: &mut dyn FnMut(&[u8])| match names(certificate) {
        [] => Seen::Absent,
        names => {
            joined(|| names.iter().map(|name| name.as_bytes()), b",", see);
            Seen::Present
        }
    };
    read_certificate(facts, all, see)
}

/// Without TLS nobody can say what a certificate would, as in Envoy: it denies there.
fn read_certificate(
    facts: &Facts<'_>,
    read: impl Fn(&Certificate, &mut dyn FnMut(&[u8])) -> Seen,
    see: &mut dyn FnMut(&[u8]),
) -> Seen {
    match facts.peer.and_then(|peer| peer.session.as_ref()) {
        None => Seen::Unavailable,
        Some(session) => {
            session.certificate.as_ref().map_or(Seen::Absent, |found| read(found, see))
        }
    }
}

/// Bytes that are joined without an allocation. Larger fields are rare, and bounded by the
/// transport.
const STACK: usize = 1024;
