//! What a finished handshake has settled.

use std::sync::Arc;

use mesh_core::identity::{Certificate, Identification, Refusal, Session};
use rustls::crypto::hash::HashAlgorithm;
use rustls::{CommonState, SupportedCipherSuite};

use super::Credentials;
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

/// The SHA-256 of a certificate (DER), by the cryptography of `credentials`.
#[must_use]
pub fn digest(credentials: &Credentials, der: &[u8]) -> Box<[u8]> {
    let suites = credentials.crypto().cipher_suites.iter();
    let mut hashes = suites.map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    });
    let sha256 = hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256);
    sha256.map(|hash| hash.hash(der).as_ref().into()).unwrap_or_default()
}

/// What decisions read of the certificate in `der`, of a peer that has been accepted.
///
/// # Errors
/// When it cannot be read, or breaks the rules of SPIFFE that it is under.
pub fn certificate(der: &[u8]) -> Result<Certificate, Refusal> {
    let leaf = leaf(der)?;
    Ok(Certificate {
        spiffe_id: leaf.spiffe_id(Identification::AnyName)?,
        subject: rfc2253(parse(der)?.subject()).into(),
        uris: leaf.names.uris,
        dns_names: leaf.names.dns_names,
        der: der.into(),
    })
}
