//! `CheckRequest`: what the service is told of a request.

use std::collections::HashMap;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer as PeerMessage, Request, TlsSession,
};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use mesh_core::filter::Context;
use mesh_core::identity::{Certificate, Peer};
use mesh_core::metadata::Metadata;
use mesh_core::request::{Protocol, RequestHead};

use super::body::{self, Shown};
use super::settings::{OnRoute, PARTIAL, Settings};
use crate::proto::structure;

/// What the service is told of a request.
pub(super) fn request(
    (settings, on_route): (&Settings, &OnRoute),
    head: &RequestHead<'_>,
    shown: Option<Shown>,
    context: &Context<'_>,
) -> CheckRequest {
    let peer = context.peer;
    let time = Timestamp { seconds: i64::try_from(context.wall).unwrap_or(i64::MAX), nanos: 0 };
    let request = Request { time: Some(time), http: Some(http(settings, head, shown)) };
    let session =
        peer.and_then(|peer| peer.session.as_ref()).filter(|_| settings.include_tls_session);
    let sni = |session: &mesh_core::identity::Session| {
        session.server_name.as_ref().map_or_else(String::new, |name| name.to_string())
    };
    let route = context.route.map(|route| &route.metadata);
    let attributes = AttributeContext {
        source: peer.map(|peer| source(peer, settings.include_peer_certificate)),
        destination: peer
            .map(|peer| PeerMessage { address: peer.local.map(address), ..PeerMessage::default() }),
        request: Some(request),
        context_extensions: on_route.extensions.clone().into_iter().collect(),
        metadata_context: metadata(&context.metadata, &settings.namespaces),
        route_metadata_context: route.and_then(|it| metadata(it, &settings.route_namespaces)),
        tls_session: session.map(|session| TlsSession { sni: sni(session) }),
    };
    CheckRequest { attributes: Some(attributes) }
}

fn http(settings: &Settings, head: &RequestHead<'_>, shown: Option<Shown>) -> HttpRequest {
    let path = head.path_and_query();
    let text = |name: &str| {
        let value = head.headers.get(name).map(|value| body::text(value.as_bytes()));
        value.unwrap_or_default()
    };
    let size = head.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let mut headers = visible(settings, head.headers);
    for (name, value) in [
        (":method", head.method.as_str()),
        (":authority", head.authority),
        (":scheme", head.scheme),
        (":path", &path),
    ] {
        if settings.headers.shows(name, true) {
            headers.insert(name.into(), value.into());
        }
    }
    let (mut body, mut raw_body) = (String::new(), Vec::new());
    if let Some(shown) = shown {
        headers.insert(PARTIAL.into(), shown.is_partial.to_string());
        match shown.as_bytes {
            true => raw_body = shown.bytes.into(),
            false => body = body::text(&shown.bytes),
        }
    }
    HttpRequest {
        id: text("x-request-id"),
        method: head.method.to_string(),
        headers,
        path,
        host: head.authority.into(),
        scheme: head.scheme.into(),
        size: size.unwrap_or(-1),
        protocol: if head.protocol == Protocol::Grpc { "HTTP/2".into() } else { String::new() },
        body,
        raw_body,
        ..HttpRequest::default()
    }
}

/// Fields that stand several times are joined, as they may be.
fn visible(settings: &Settings, headers: &HeaderMap) -> HashMap<String, String> {
    let mut visible: HashMap<String, String> = HashMap::new();
    for (name, value) in headers {
        if !settings.headers.shows(name.as_str(), true) {
            continue;
        }
        let value = body::text(value.as_bytes());
        visible
            .entry(name.as_str().into())
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert_with(|| value.clone());
    }
    visible
}

fn source(peer: &Peer, with_certificate: bool) -> PeerMessage {
    let certificate = peer.certificate();
    PeerMessage {
        address: peer.remote.map(address),
        principal: certificate.map(principal).unwrap_or_default(),
        certificate: certificate.filter(|_| with_certificate).map(encoded).unwrap_or_default(),
        ..PeerMessage::default()
    }
}

/// As in Envoy: the first URI name, or the first DNS name, or the subject.
fn principal(certificate: &Certificate) -> String {
    let name = certificate.uris.first().or(certificate.dns_names.first());
    name.unwrap_or(&certificate.subject).to_string()
}

/// The certificate as PEM, URL-encoded.
fn encoded(certificate: &Certificate) -> String {
    let text = STANDARD.encode(&certificate.der);
    let mut pem = String::from("-----BEGIN%20CERTIFICATE-----%0A");
    for line in text.as_bytes().chunks(64) {
        for byte in line {
            match byte {
                b'+' => pem.push_str("%2B"),
                b'/' => pem.push_str("%2F"),
                b'=' => pem.push_str("%3D"),
                byte => pem.push(char::from(*byte)),
            }
        }
        pem.push_str("%0A");
    }
    pem.push_str("-----END%20CERTIFICATE-----%0A");
    pem
}

fn address(address: SocketAddr) -> core::Address {
    use core::address::Address;
    use core::socket_address::PortSpecifier;
    let socket = core::SocketAddress {
        address: address.ip().to_canonical().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
        ..core::SocketAddress::default()
    };
    core::Address { address: Some(Address::SocketAddress(socket)) }
}

/// The namespaces `names` of `metadata`, if there is any.
fn metadata(metadata: &Metadata, names: &[Box<str>]) -> Option<core::Metadata> {
    let found = names.iter().filter_map(|name| Some((name, metadata.namespace(name)?)));
    let found: HashMap<_, _> =
        found.map(|(name, fields)| (name.to_string(), structure(fields))).collect();
    (!found.is_empty())
        .then(|| core::Metadata { filter_metadata: found, ..core::Metadata::default() })
}
