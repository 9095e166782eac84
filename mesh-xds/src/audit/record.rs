//! What is written down of a decision.

use std::net::SocketAddr;
use std::time::SystemTime;

use mesh_core::authz::{AuditEvent, Effect};
use mesh_core::identity::{Certificate, Peer};
use mesh_core::request::RequestHead;

use super::redact::Redaction;
use super::text::Members;
use super::time::rfc3339;

/// Bytes in a line at the most.
pub const MAX_RECORD: usize = 8 << 10;

/// The record of `event`, which happened at `time`: first what gRFC A59 asks for, in its order,
/// then what of the request is known, without header fields and query.
pub(super) fn decision(event: &AuditEvent<'_>, redaction: &Redaction, time: SystemTime) -> Members {
    let (head, peer) = (event.facts.head(), event.facts.peer());
    let path = head.map_or("", |head| redaction.path(head.path));
    let principal = peer.and_then(Peer::certificate).map_or("", principal);
    let members = Members::default()
        .text("timestamp", &rfc3339(time), SHORT)
        .text("rpc_method", path, LONG)
        .text("principal", redaction.principal(principal), MEDIUM)
        .text("policy_name", event.filter, SHORT)
        .text("matched_rule", event.decision.policy.map_or("", |name| name), SHORT)
        .plain("authorized", event.decision.is_allowed())
        .text("rule", &event.decision.to_string(), MEDIUM)
        .plain("shadow", event.effect == Effect::Shadow);
    let members = match event.facts.tenant() {
        Some(tenant) => members.text("tenant", tenant.as_str(), SHORT),
        None => members,
    };
    let members = address(members, "peer", peer.and_then(|peer| peer.remote));
    let members = address(members, "server", peer.and_then(|peer| peer.local));
    match head {
        Some(head) => request(members, head, path),
        None => members,
    }
}

fn request(members: Members, head: &RequestHead<'_>, path: &str) -> Members {
    let members = members
        .text("method", head.method.as_str(), SHORT)
        .text("host", head.authority, SHORT)
        .text("path", path, LONG);
    match trace_id(head) {
        Some(id) => members.text("trace_id", id, SHORT),
        None => members,
    }
}

/// The record of decisions since `since` that are not written down: `lost` of them happened, and
/// `refused` would have been allowed.
pub(super) fn gap(since: SystemTime, lost: u64, refused: u64) -> Members {
    let members = Members::default().text("timestamp", &rfc3339(since), SHORT);
    members.plain("lost", lost).plain("refused", refused)
}

fn address(members: Members, name: &'static str, address: Option<SocketAddr>) -> Members {
    match address {
        Some(address) => members.text(name, &address.to_string(), SHORT),
        None => members,
    }
}

/// The first name that RBAC goes by, as gRFC A41 orders them.
fn principal(certificate: &Certificate) -> &str {
    let spiffe = certificate.spiffe_id.as_ref().map(|id| id.as_str());
    let uri = || certificate.uris.first().map(|uri| &**uri);
    let dns = || certificate.dns_names.first().map(|name| &**name);
    spiffe.or_else(uri).or_else(dns).unwrap_or(&certificate.subject)
}

/// The trace that the request belongs to (W3C `traceparent`), if that is well-formed: only then is
/// it sure to be nothing else.
fn trace_id<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let mut parts = head.headers.get("traceparent")?.to_str().ok()?.split('-');
    let is_hex = |text: &str, length: usize| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == length && text.bytes().all(digit)
    };
    let (version, id, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let known = is_hex(version, 2) && is_hex(id, 32) && is_hex(parent, 16);
    known.then_some(id)
}

/// Bytes of texts at the most; all of them together are less than [`MAX_RECORD`], with room for
/// what links records.
const SHORT: usize = 256;
const MEDIUM: usize = 1024;
const LONG: usize = 1536;
