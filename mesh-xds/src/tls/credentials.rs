//! A source with what rustls makes of its material.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mesh_core::cell::Listen;
use mesh_core::identity::{Identity, Material, Refusal, Source, SpiffeId, Trust, TrustDomain};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use rustls::sign::CertifiedKey;
use webpki::anchor_from_trusted_cert;

use super::TlsError;
use super::leaf::leaf;
use super::revocation::Revocations;

/// A certificate provider as handshakes use it: a [`Source`], and its material made ready once for
/// each change.
pub struct Credentials {
    name: Arc<str>,
    source: Arc<dyn Source>,
    crypto: Arc<CryptoProvider>,
    ready: ArcSwapOption<Ready>,
}

/// Material made ready for handshakes.
pub(super) struct Ready {
    material: Arc<Material>,
    pub(super) key: Option<Result<Arc<CertifiedKey>, Arc<str>>>,
    roots: Roots,
    pub(super) crls: Revocations,
}

enum Roots {
    Unknown,
    All(Vec<TrustAnchor<'static>>),
    ByDomain(BTreeMap<TrustDomain, Vec<TrustAnchor<'static>>>),
}

impl Credentials {
    /// The certificate provider called `name`, which gives what `source` does.
    #[must_use]
    pub fn new(
        name: impl Into<Arc<str>>,
        source: Arc<dyn Source>,
        crypto: Arc<CryptoProvider>,
    ) -> Self {
        Self { name: name.into(), source, crypto, ready: ArcSwapOption::empty() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where its material comes from.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Tells `listener` of every change, until its last `Arc` is dropped.
    pub fn listen(&self, listener: &Arc<dyn Listen>) {
        self.source.listen(listener);
    }

    /// Whether there is an identity that a handshake could present now.
    ///
    /// # Errors
    /// [`TlsError`] says why there is none.
    pub fn check_identity(&self) -> Result<(), TlsError> {
        self.key().map(drop)
    }

    /// What a handshake presents now.
    pub(super) fn key(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        match &self.ready()?.key {
            Some(Ok(key)) => Ok(key.clone()),
            Some(Err(why)) => Err(self.unusable(why)),
            None => Err(self.unusable("it gives no certificate of our own")),
        }
    }

    /// The URI names of the certificate that a handshake presents now.
    ///
    /// # Errors
    /// [`TlsError`] says why there is none, or what is wrong with it.
    pub fn own_uris(&self) -> Result<Box<[Arc<str>]>, TlsError> {
        let key = self.key()?;
        let own = key.cert.first().ok_or_else(|| self.unusable("it has no certificate"))?;
        Ok(leaf(own).map_err(|why| self.unusable(&why.to_string()))?.names.uris)
    }

    pub(super) fn crypto(&self) -> &Arc<CryptoProvider> {
        &self.crypto
    }

    pub(super) fn ready(&self) -> Result<Arc<Ready>, TlsError> {
        let material = self.source.current().map_err(|unavailable| TlsError::Unavailable {
            provider: self.name.clone(),
            why: unavailable.why,
        })?;
        let known = self.ready.load();
        if let Some(ready) = &*known
            && Arc::ptr_eq(&ready.material, &material)
        {
            return Ok(ready.clone());
        }
        let ready = Ready::new(material, &self.crypto).map_err(|why| self.unusable(&why))?;
        let ready = Arc::new(ready);
        // Of two handshakes that make it ready at once, the last one's stays; both are right.
        self.ready.store(Some(ready.clone()));
        Ok(ready)
    }

    fn unusable(&self, why: &str) -> TlsError {
        TlsError::Unusable { provider: self.name.clone(), why: why.into() }
    }
}

impl Ready {
    fn new(material: Arc<Material>, crypto: &CryptoProvider) -> Result<Self, String> {
        let key = material
            .identity
            .as_ref()
            .map(|identity| load(identity, crypto).map(Arc::new).map_err(Arc::from));
        let roots = match &material.trust {
            Trust::Authorities(all) => Roots::All(anchors(all)?),
            Trust::Domains(domains) => Roots::ByDomain(
                domains
                    .iter()
                    .map(|(domain, all)| Ok((domain.clone(), anchors(all)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Trust::Unknown => Roots::Unknown,
        };
        let crls = Revocations::new(&material.crls)?;
        Ok(Self { material, key, roots, crls })
    }

    /// Whether peers must be SPIFFE workloads.
    pub(super) fn is_by_domain(&self) -> bool {
        matches!(self.roots, Roots::ByDomain(_))
    }

    /// Who may vouch for a peer with this identity: of a SPIFFE workload, only those of its own
    /// trust domain.
    pub(super) fn roots(&self, id: Option<&SpiffeId>) -> Result<&[TrustAnchor<'static>], Refusal> {
        match (&self.roots, id) {
            (Roots::All(all), _) => Ok(all),
            (Roots::ByDomain(domains), Some(id)) => {
                let domain = id.trust_domain();
                match domains.get(&domain) {
                    Some(all) => Ok(all),
                    None => Err(Refusal::TrustDomain(domain)),
                }
            }
            (Roots::ByDomain(_), None) => Err(Refusal::UriNames(0)),
            (Roots::Unknown, _) => {
                Err(Refusal::NoAuthorities("the certificate provider gives none".into()))
            }
        }
    }
}

/// Loads the key of `identity`, which must be that of its certificate.
pub(crate) fn load(identity: &Identity, crypto: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = identity.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let key = PrivateKeyDer::try_from(identity.key.secret_der().to_vec());
    let key = key.map_err(|_| "the private key cannot be read".to_owned())?;
    // No text of rustls' errors here has anything of the key in it.
    CertifiedKey::from_der(chain, key, crypto).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            "the private key is not that of the certificate".to_owned()
        } else {
            format!("the certificate cannot be used: {error}")
        }
    })
}

/// The roots in `all`. One that cannot be read is no reason to trust the others less.
fn anchors(all: &[Arc<[u8]>]) -> Result<Vec<TrustAnchor<'static>>, String> {
    let anchor = |der: &Arc<[u8]>| {
        let certificate = CertificateDer::from(der.as_ref());
        anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned()).ok()
    };
    let anchors: Vec<_> = all.iter().filter_map(anchor).collect();
    match anchors.is_empty() && !all.is_empty() {
        true => Err("none of the authorities can be read".to_owned()),
        false => Ok(anchors),
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}
