//! Material out of PEM, checked before anybody gets to see it.

use std::sync::Arc;

use mesh_core::identity::{Identity, Material, Trust};
use rustls::crypto::CryptoProvider;

use crate::tls::{leaf, load, pem};

/// A certificate chain and its key in PEM.
pub(super) fn identity(
    chain: &[u8],
    key: &[u8],
    crypto: &CryptoProvider,
) -> Result<Identity, String> {
    let chain = pem::certificates(chain)?;
    let own = chain.first().ok_or("it has no certificate")?;
    let expires =
        leaf(own).map_err(|refusal| format!("its first certificate: {refusal}"))?.not_after;
    let identity = Identity { chain, key: pem::private_key(key)?, expires };
    load(&identity, crypto)?;
    Ok(identity)
}

/// The authorities in PEM.
pub(super) fn authorities(pem_text: &[u8]) -> Result<Trust, String> {
    pem::certificates(pem_text).map(Trust::Authorities)
}

/// The revocation lists in PEM, each of which must be readable: one that is not might revoke.
pub(super) fn revocation_lists(pem_text: &[u8]) -> Result<Vec<Arc<[u8]>>, String> {
    pem::revocation_lists(pem_text).and_then(readable)
}

/// `lists` (DER), if all of them can be read.
pub(super) fn readable(lists: Vec<Arc<[u8]>>) -> Result<Vec<Arc<[u8]>>, String> {
    for list in &lists {
        webpki::OwnedCertRevocationList::from_der(list)
            .map_err(|error| format!("a revocation list cannot be read: {error:?}"))?;
    }
    Ok(lists)
}

/// When the certificate in `material` expires, if it has one.
pub(super) fn expires(material: &Material) -> Option<std::time::SystemTime> {
    material.identity.as_ref().map(|identity| identity.expires)
}
