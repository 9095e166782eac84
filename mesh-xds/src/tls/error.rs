//! Why TLS cannot be used as configured.

use std::io;
use std::sync::Arc;

use mesh_core::identity::Refusal;
use rustls::{CertificateError, OtherError};

/// Why TLS cannot be used as configured. There is no fallback to plain text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate provider of this name.
    #[error("certificate provider {0:?} is not known")]
    UnknownProvider(Arc<str>),
    /// The certificate provider has nothing to give (yet, or any more).
    #[error("certificate provider {provider:?} has nothing to give: {why}")]
    Unavailable {
        /// Its name.
        provider: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// What the certificate provider gives cannot be used.
    #[error("certificate provider {provider:?}: {why}")]
    Unusable {
        /// Its name.
        provider: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// The name to ask for cannot be asked for.
    #[error("{0:?} cannot be asked for as a server name")]
    ServerName(Arc<str>),
    /// The provider of cryptography cannot do what is asked.
    #[error("cryptography: {0}")]
    Crypto(Box<str>),
}

/// What a failed handshake failed for, in words: what is wrong with the peer's certificate, or the
/// alert that the peer has sent. Never has key material in it.
#[must_use]
pub fn why(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        && let Some(refusal) = inner.downcast_ref::<Refusal>()
    {
        return format!("the peer's certificate is refused: {refusal}");
    }
    error.to_string()
}

/// As [`why`], of what came out of a stream.
#[must_use]
pub fn why_io(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), why)
}
