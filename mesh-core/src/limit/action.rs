use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Entry;
use crate::identity::Peer;
use crate::matcher::{Cidr, Field, HeaderMatcher, QueryMatcher};
use crate::metadata::{Metadata, Value};
use crate::request::RequestHead;

/// What is known of a request when it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request.
    pub head: &'a RequestHead<'a>,
    /// Who has sent it, if that is known.
    pub peer: Option<&'a Peer>,
    /// The cluster that it goes to, if it goes on.
    pub cluster: Option<&'a str>,
    /// What filters before have said of it.
    pub metadata: &'a Metadata,
    /// What its route says.
    pub route: &'a Metadata,
}

/// What makes one entry of a descriptor (Envoy's `RateLimit.Action`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// `source_cluster`: the cluster of this node itself.
    SourceCluster(Arc<str>),
    /// `destination_cluster`: where the request goes.
    DestinationCluster,
    /// A header field's first value.
    Header {
        /// The field.
        field: Field,
        /// The entry's key.
        key: Arc<str>,
        /// Whether only the entry, and not the whole descriptor, is left out if the field is absent.
        skip_if_absent: bool,
    },
    /// A query parameter's first value, decoded.
    Query {
        /// The parameter.
        name: Box<str>,
        /// The entry's key.
        key: Arc<str>,
        /// Whether only the entry, and not the whole descriptor, is left out if it is absent.
        skip_if_absent: bool,
    },
    /// `remote_address`: the peer's IP address.
    RemoteAddress,
    /// `masked_remote_address`: the range that the peer's IP address is in.
    MaskedRemoteAddress {
        /// Bits that count in IPv4; 0 to 32.
        v4: u8,
        /// Bits that count in IPv6; 0 to 128.
        v6: u8,
    },
    /// Always the same entry.
    Fixed(Entry),
    /// An entry if all header fields match, or else if they do not.
    HeaderMatch {
        /// The entry.
        entry: Entry,
        /// What is asked of the header fields.
        headers: Vec<HeaderMatcher>,
        /// What the answer must be.
        expect: bool,
    },
    /// An entry if all query parameters match, decoded, or else if they do not.
    QueryMatch {
        /// The entry.
        entry: Entry,
        /// What is asked of the parameters.
        query: Vec<QueryMatcher>,
        /// What the answer must be.
        expect: bool,
    },
    /// An entry if the peer's IP address is in one of these ranges, or in none.
    AddressMatch {
        /// The entry.
        entry: Entry,
        /// The ranges.
        ranges: Box<[Cidr]>,
        /// Whether it must be in none.
        invert: bool,
    },
    /// A string in metadata.
    Metadata {
        /// Whose metadata.
        source: Source,
        /// The namespace.
        namespace: Box<str>,
        /// The way to the value.
        path: Box<[Box<str>]>,
        /// The entry's key.
        key: Arc<str>,
        /// The value if there is no string, or an empty one.
        default: Option<Arc<str>>,
        /// Whether only the entry, and not the whole descriptor, is left out without a value.
        skip_if_absent: bool,
    },
}

/// Whose metadata is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// That of the request, which filters leave.
    Request,
    /// That of the route.
    Route,
}

/// What an action comes to.
pub(super) enum Outcome {
    Entry(Entry),
    /// No entry, but a descriptor all the same.
    Skip,
    /// No descriptor.
    Nothing,
}

impl Outcome {
    fn found(key: &Arc<str>, value: Option<Arc<str>>, skip_if_absent: bool) -> Self {
        match value {
            Some(value) => Self::Entry(Entry::new(key, value)),
            None if skip_if_absent => Self::Skip,
            None => Self::Nothing,
        }
    }

    fn when(holds: bool, entry: &Entry) -> Self {
        if holds { Self::Entry(entry.clone()) } else { Self::Nothing }
    }
}

impl Action {
    /// What it makes of a request.
    pub(super) fn apply(&self, facts: &Facts<'_>) -> Outcome {
        match self {
            Self::SourceCluster(name) => {
                Outcome::Entry(Entry::new(&"source_cluster".into(), name.clone()))
            }
            Self::DestinationCluster => {
                let cluster = facts.cluster.map(Arc::from);
                Outcome::found(&"destination_cluster".into(), cluster, false)
            }
            Self::Header { field, key, skip_if_absent } => {
                Outcome::found(key, header(field, facts.head), *skip_if_absent)
            }
            Self::Query { name, key, skip_if_absent } => {
                let value = parameter(facts.head, name).map(|value| text(&value));
                Outcome::found(key, value, *skip_if_absent)
            }
            Self::RemoteAddress => {
                let address = address(facts).map(|ip| ip.to_string().into());
                Outcome::found(&"remote_address".into(), address, false)
            }
            Self::MaskedRemoteAddress { v4, v6 } => {
                let masked = address(facts).and_then(|ip| masked(ip, *v4, *v6));
                Outcome::found(&"masked_remote_address".into(), masked, false)
            }
            Self::Fixed(entry) => Outcome::Entry(entry.clone()),
            Self::HeaderMatch { entry, headers, expect } => {
                let all = headers.iter().all(|matcher| matcher.matches(facts.head));
                Outcome::when(all == *expect, entry)
            }
            Self::QueryMatch { entry, query, expect } => {
                let matches = |matcher: &QueryMatcher| {
                    matcher.accepts(parameter(facts.head, &matcher.name).as_deref())
                };
                Outcome::when(query.iter().all(matches) == *expect, entry)
            }
            Self::AddressMatch { entry, ranges, invert } => {
                let Some(ip) = address(facts) else { return Outcome::Nothing };
                let is_within = ranges.iter().any(|range| range.contains(ip));
                Outcome::when(is_within != *invert, entry)
            }
            Self::Metadata { source, namespace, path, key, default, skip_if_absent } => {
                let metadata = match source {
                    Source::Request => facts.metadata,
                    Source::Route => facts.route,
                };
                let value = string(metadata, namespace, path).or_else(|| default.clone());
                Outcome::found(key, value, *skip_if_absent)
            }
        }
    }
}

/// The first value. What is no UTF-8 is replaced: a field that is there never counts as absent.
fn header(field: &Field, head: &RequestHead<'_>) -> Option<Arc<str>> {
    let name = match field {
        // Also those that routing does not let gRPC see: nothing is routed here.
        Field::Header(name) => Some(name.clone()),
        Field::ContentType => Some(http::header::CONTENT_TYPE),
        Field::Method | Field::Path | Field::Authority | Field::Scheme => None,
    };
    match name {
        Some(name) => head.headers.get(name).map(|value| text(value.as_bytes())),
        None => field.value(head).map(|value| text(&value)),
    }
}

fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

/// The first parameter called `name`, decoded.
fn parameter<'h>(head: &RequestHead<'h>, name: &str) -> Option<Cow<'h, [u8]>> {
    let pairs = head.query?.split('&').filter(|pair| !pair.is_empty());
    let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let found = pairs.find(|(key, _)| *decoded(key) == *name.as_bytes());
    found.map(|(_, value)| decoded(value))
}

/// `text` without its escapes; one that is malformed stays as it is.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let (mut rest, mut bytes) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    after
                }
                (None, _) | (_, None) => {
                    bytes.push(b'%');
                    rest.get(1..).unwrap_or_default()
                }
            },
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    Cow::Owned(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn address(facts: &Facts<'_>) -> Option<IpAddr> {
    facts.peer?.remote.map(|remote| remote.ip().to_canonical())
}

fn masked(ip: IpAddr, v4: u8, v6: u8) -> Option<Arc<str>> {
    let bits = if ip.is_ipv4() { v4 } else { v6 };
    let range = IpNet::new(ip, bits).ok()?.trunc();
    Some(range.to_string().into())
}

/// A string that is there and not empty.
fn string(metadata: &Metadata, namespace: &str, path: &[Box<str>]) -> Option<Arc<str>> {
    match metadata.find(namespace, path)? {
        Value::String(text) if !text.is_empty() => Some(Arc::from(&**text)),
        Value::String(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::List(_)
        | Value::Struct(_) => None,
    }
}
