//! Identities that never change, from PEM.

use std::fmt;
use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Trust};
use rustls::crypto::CryptoProvider;

use super::material;

/// An identity and authorities that never change, each in PEM.
///
/// ```
/// # fn run(chain: Vec<u8>, key: Vec<u8>, roots: Vec<u8>) -> Result<(), mesh_xds::identity::PemError> {
/// use mesh_xds::identity::Pem;
///
/// let crypto = rustls::crypto::aws_lc_rs::default_provider();
/// let source = Pem::new().identity(chain, key).authorities(roots).source(&crypto)?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "it does nothing until it is made a source"]
pub struct Pem {
    identity: Option<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>)>,
    authorities: Option<Vec<u8>>,
    revocation_lists: Option<Vec<u8>>,
}

/// Why PEM cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {why}")]
pub struct PemError {
    /// `identity`, `authorities` or `revocation lists`.
    pub part: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Pem {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Presents the certificates in `chain`, the own one first, with their `key`.
    pub fn identity(mut self, chain: Vec<u8>, key: Vec<u8>) -> Self {
        self.identity = Some((chain, key.into()));
        self
    }

    /// Trusts those for whom the certificates in `pem` vouch.
    pub fn authorities(mut self, pem: Vec<u8>) -> Self {
        self.authorities = Some(pem);
        self
    }

    /// Trusts nobody whom the revocation lists in `pem` name.
    pub fn revocation_lists(mut self, pem: Vec<u8>) -> Self {
        self.revocation_lists = Some(pem);
        self
    }

    /// The source that gives all of it.
    ///
    /// # Errors
    /// When something cannot be read, or the key is not that of the certificate.
    pub fn source(self, crypto: &CryptoProvider) -> Result<Arc<Feed>, PemError> {
        let of = |part| move |why| PemError { part, why };
        let identity = self.identity.map(|(chain, key)| material::identity(&chain, &key, crypto));
        let identity = identity.transpose().map_err(of("identity"))?;
        let trust = self.authorities.map(|pem| material::authorities(&pem)).transpose();
        let trust = trust.map_err(of("authorities"))?.unwrap_or(Trust::Unknown);
        let lists = self.revocation_lists.map(|pem| material::revocation_lists(&pem)).transpose();
        let crls = lists.map_err(of("revocation lists"))?.unwrap_or_default();
        Ok(Arc::new(Feed::of(Material { identity, trust, crls })))
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}
