//! One condition on a request or its connection.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::input::{Input, Seen};
use super::{Facts, Truth};
use crate::identity::Certificate;
use crate::matcher::{Cidr, HeaderMatcher, MetadataMatcher, PathTemplate, StringMatcher};
use crate::metadata::Metadata;
use crate::tenant;

/// One condition on a request or its connection: what permissions and principals are made of.
///
/// Where a header field has several values, a condition on it holds if it holds for each of them
/// and for all of them joined with `,`; if it holds for some only, it is unknown. So what one
/// reader takes for one value and another for several passes no rule by the difference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// A header field matches (`header`). Fields are as they were sent, but for `te` in gRPC, which
    /// is absent (gRFC A41).
    Header(HeaderMatcher),
    /// The path without the query matches (`url_path`).
    Path(StringMatcher),
    /// The path without the query has this form (`uri_template`).
    PathTemplate(PathTemplate),
    /// The client has connected to one of these addresses (`destination_ip`).
    DestinationIp(Box<[Cidr]>),
    /// The client has connected to one of these ports (`destination_port`,
    /// `destination_port_range`).
    DestinationPort(Range<u32>),
    /// The client comes from one of these addresses (`source_ip`, `direct_remote_ip` and
    /// `remote_ip`, which are the same where nothing stands between, gRFC A41).
    SourceIp(Box<[Cidr]>),
    /// The name that the client has asked for in TLS matches (`requested_server_name`); it is empty
    /// if it has asked for none.
    ServerName(StringMatcher),
    /// The connection uses TLS and, if this is given, the client's name matches
    /// (`authenticated.principal_name`): any of the URI names in its certificate, or of its DNS
    /// names if there is none, or else the subject, or the empty string without a certificate
    /// (gRFC A41).
    Authenticated(Option<StringMatcher>),
    /// The client has shown a certificate that was verified and, if this is given, has a name that
    /// matches (Envoy's `mtls_authenticated`).
    Certificate(Option<NameMatcher>),
    /// What filters have said of the request matches (`metadata`, `sourced_metadata`).
    Metadata(MetadataMatcher),
    /// What the configuration says of the route matches (`sourced_metadata` with `ROUTE`).
    RouteMetadata(MetadataMatcher),
    /// This text matches (a predicate of `xds.type.matcher.v3.Matcher`). Nothing matches where
    /// there is none.
    Text(Input, StringMatcher),
}

/// A predicate on the names of one kind in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameMatcher {
    /// One of the URI names matches.
    Uri(StringMatcher),
    /// One of the DNS names matches.
    Dns(StringMatcher),
}

impl Condition {
    /// Whether it holds.
    pub(super) fn evaluate(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Self::Header(matcher) => header(matcher, facts),
            Self::Path(matcher) => match facts.head {
                Some(head) if facts.path_is_plain => matcher.matches(head.path.as_bytes()).into(),
                Some(_) | None => Truth::Unknown,
            },
            Self::PathTemplate(template) => match facts.head {
                Some(head) if facts.path_is_plain => {
                    template.matches(head.path).map_or(Truth::Unknown, Truth::from)
                }
                Some(_) | None => Truth::Unknown,
            },
            Self::DestinationIp(ranges) => within(ranges, facts.destination()),
            Self::SourceIp(ranges) => within(ranges, facts.source()),
            Self::DestinationPort(range) => match facts.destination() {
                Some(address) => range.contains(&u32::from(address.port())).into(),
                None => Truth::Unknown,
            },
            Self::ServerName(matcher) => text(&Input::ServerName, matcher, facts),
            Self::Text(input, matcher) => text(input, matcher, facts),
            Self::Authenticated(matcher) => authenticated(matcher.as_ref(), facts),
            Self::Certificate(matcher) => match facts.peer {
                Some(peer) => peer
                    .certificate()
                    .is_some_and(|it| matcher.as_ref().is_none_or(|matcher| matcher.matches(it)))
                    .into(),
                None => Truth::Unknown,
            },
            Self::Metadata(matcher) => content(matcher, facts.metadata),
            Self::RouteMetadata(matcher) => content(matcher, facts.route),
        }
    }
}

impl NameMatcher {
    fn matches(&self, certificate: &Certificate) -> bool {
        let (names, matcher) = match self {
            Self::Uri(matcher) => (&certificate.uris, matcher),
            Self::Dns(matcher) => (&certificate.dns_names, matcher),
        };
        names.iter().any(|name| matcher.matches(name.as_bytes()))
    }
}

fn header(matcher: &HeaderMatcher, facts: &Facts<'_>) -> Truth {
    let mut truth = None;
    let mut see = |value: &[u8]| {
        let one = Truth::from(matcher.accepts(Some(value)));
        truth = Some(truth.map_or(one, |others: Truth| others.agreed(one)));
    };
    let seen = Input::read_field(&matcher.field, facts, &mut see);
    match (seen, truth) {
        (Seen::Unavailable, _) => Truth::Unknown,
        (Seen::Absent | Seen::Present, None) => matcher.accepts(None).into(),
        (Seen::Absent | Seen::Present, Some(truth)) => truth,
    }
}

fn text(input: &Input, matcher: &StringMatcher, facts: &Facts<'_>) -> Truth {
    let mut truth = None;
    let mut see = |value: &[u8]| {
        let one = Truth::from(matcher.matches(value));
        truth = Some(truth.map_or(one, |others: Truth| others.agreed(one)));
    };
    match input.read(facts, &mut see) {
        Seen::Unavailable => Truth::Unknown,
        Seen::Absent | Seen::Present => truth.unwrap_or(Truth::No),
    }
}

fn content(matcher: &MetadataMatcher, metadata: Option<&Metadata>) -> Truth {
    // Nobody can say what is true of the tenant of a request that has none.
    let metadata =
        metadata.filter(|it| &*matcher.namespace != tenant::NAMESPACE || it.tenant().is_some());
    metadata.and_then(|it| matcher.matches(it)).map_or(Truth::Unknown, Truth::from)
}

/// A Unix domain socket has no address: nobody can say whether it would be one of these.
fn within(ranges: &[Cidr], address: Option<SocketAddr>) -> Truth {
    let Some(address) = address.map(|address: SocketAddr| -> IpAddr { address.ip() }) else {
        return Truth::Unknown;
    };
    ranges.iter().any(|range| range.contains(address)).into()
}

fn authenticated(matcher: Option<&StringMatcher>, facts: &Facts<'_>) -> Truth {
    let Some(peer) = facts.peer else { return Truth::Unknown };
    if peer.session.is_none() {
        return Truth::No;
    }
    let Some(matcher) = matcher else { return Truth::Yes };
    names(peer.certificate()).any(|name| matcher.matches(name.as_bytes())).into()
}

/// What a client is called: the first of its certificate's URI names, DNS names and subject that
/// there are, or the empty string (gRFC A41).
pub(super) fn names(certificate: Option<&Certificate>) -> impl Iterator<Item = &str> {
    let (names, rest): (&[Arc<str>], _) = match certificate {
        Some(it) if !it.uris.is_empty() => (&it.uris, None),
        Some(it) if !it.dns_names.is_empty() => (&it.dns_names, None),
        Some(it) => (&[], Some(&*it.subject)),
        None => (&[], Some("")),
    };
    names.iter().map(|name| &**name).chain(rest)
}
