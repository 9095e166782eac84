//! What a finished handshake has settled.

use std::sync::Arc;

use mesh_core::identity::{Certificate, Identification, Refusal, Session};
use rustls::CommonState;

use super::leaf::{leaf, parse};
use super::subject::rfc2253;

/// What the handshake of `connection` has settled. `server_name` is the name that the client asked
/// for: a client knows it, and a server has it from its connection.
///
/// # Errors
/// When the peer's certificate cannot be read, which a handshake would have refused.
pub fn session(connection: &CommonState, server_name: Option<&str>) -> Result<Session, Refusal> {
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    Ok(Session {
        server_name: server_name.map(Arc::from),
        protocol: connection.alpn_protocol().map(Arc::from),
        certificate: shown.map(|der| certificate(der)).transpose()?,
    })
}

fn certificate(der: &[u8]) -> Result<Certificate, Refusal> {
    let leaf = leaf(der)?;
    Ok(Certificate {
        spiffe_id: leaf.spiffe_id(Identification::AnyName)?,
        subject: rfc2253(parse(der)?.subject()).into(),
        uris: leaf.names.uris,
        dns_names: leaf.names.dns_names,
        der: der.into(),
    })
}
