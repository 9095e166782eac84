//! Certificates, keys and revocation lists in PEM.

use std::sync::Arc;

use mesh_core::identity::PrivateKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroize;

/// The certificates in `pem`, of which there must be at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Arc<[u8]>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("not certificates in PEM: {error}"))?;
    match all.is_empty() {
        true => Err("it has no certificate".to_owned()),
        false => Ok(all.iter().map(|der| Arc::from(der.as_ref())).collect()),
    }
}

/// The first private key in `pem`.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKey, String> {
    // The error of the parser may quote what it has read.
    let key = PrivateKeyDer::from_pem_slice(pem);
    let mut key = key.map_err(|_| "it has no private key in PEM".to_owned())?;
    let copy = PrivateKey::new(key.secret_der().to_vec());
    key.zeroize();
    Ok(copy)
}

/// The revocation lists in `pem`.
pub(crate) fn revocation_lists(pem: &[u8]) -> Result<Vec<Arc<[u8]>>, String> {
    let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("not revocation lists in PEM: {error}"))?;
    match all.is_empty() {
        // Somebody is about to write it. To take it for good would let in who is revoked.
        true => Err("it has no revocation list".to_owned()),
        false => Ok(all.iter().map(|der| Arc::from(der.as_ref())).collect()),
    }
}
