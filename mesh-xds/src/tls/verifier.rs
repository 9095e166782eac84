//! [`PeerCheck`] in the places where rustls asks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::Refusal;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::check::PeerCheck;

/// Accepts servers.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) check: PeerCheck,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Accepts clients.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) check: PeerCheck,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) is_mandatory: bool,
}

pub(super) fn algorithms(crypto: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    crypto.signature_verification_algorithms
}

fn check(
    check: &PeerCheck,
    own: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let chain: Vec<_> = std::iter::once(own).chain(intermediates).cloned().collect();
    check.check(&chain, now).map_err(|refusal| error(refusal, now).into())
}

/// The error whose alert tells the peer as much as there is a word for.
#[expect(clippy::wildcard_enum_match_arm, reason = "most refusals have no alert of their own")]
fn error(refusal: Refusal, now: UnixTime) -> CertificateError {
    match refusal {
        Refusal::Expired { at } => {
            CertificateError::ExpiredContext { time: now, not_after: unix(at) }
        }
        Refusal::NotYetValid { from } => {
            CertificateError::NotValidYetContext { time: now, not_before: unix(from) }
        }
        Refusal::Revoked => CertificateError::Revoked,
        Refusal::UnknownIssuer => CertificateError::UnknownIssuer,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

fn unix(time: SystemTime) -> UnixTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixTime::since_unix_epoch(since)
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        // Who the server must be is not said by the name that was asked for (gRFC A29).
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(&self.check, end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    /// None: a hint is of no use to clients of a mesh, and would have to outlive the roots.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check(&self.check, end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
