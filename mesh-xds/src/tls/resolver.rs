//! What a handshake presents: looked up in its [`Credentials`] each time.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Credentials;

/// Presents the identity of a certificate provider.
#[derive(Debug)]
pub(super) struct Presented(pub(super) Arc<Credentials>);

impl Presented {
    fn now(&self) -> Option<Arc<CertifiedKey>> {
        match self.0.key() {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::warn!(%error, "a handshake fails for want of a certificate");
                None
            }
        }
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.now()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.now()
    }
}

/// Presents nothing.
#[derive(Debug)]
pub(super) struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
