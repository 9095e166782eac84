//! Where an identity comes from, and what it is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::trust_domain::TrustDomain;
use crate::cell::{Cell, Listen};

/// Gives what a program presents in a handshake, and whom it trusts there.
///
/// Read at every handshake, so it answers at once from what it has. What it gives may change at any
/// time; a handshake uses what was there when it began.
pub trait Source: Send + Sync + fmt::Debug {
    /// What is in force now.
    ///
    /// # Errors
    /// [`Unavailable`] when there is nothing (yet, or any more): then no handshake succeeds.
    fn current(&self) -> Result<Arc<Material>, Unavailable>;

    /// How often [`current`](Self::current) has changed.
    fn generation(&self) -> u64;

    /// Tells `listener` of every later change, until its last `Arc` is dropped.
    fn listen(&self, listener: &Arc<dyn Listen>);
}

/// What is in force at one time. Replaced as a whole.
#[derive(Debug)]
pub struct Material {
    /// What to present; `None` where the source only says whom to trust.
    pub identity: Option<Identity>,
    /// Who may vouch for peers.
    pub trust: Trust,
    /// Revocation lists (DER), which hold for every authority that has signed one (gRFC A69).
    pub crls: Vec<Arc<[u8]>>,
}

impl Material {
    /// Whether it is the same as `other` to everybody who uses it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let identities_are = match (&self.identity, &other.identity) {
            (Some(one), Some(other)) => {
                one.chain == other.chain && one.key.secret_der() == other.key.secret_der()
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        identities_are && self.trust == other.trust && self.crls == other.crls
    }
}

/// A certificate chain and the key of its first certificate.
#[derive(Debug)]
pub struct Identity {
    /// The certificates (DER), the own one first.
    pub chain: Vec<Arc<[u8]>>,
    /// The key of the first.
    pub key: PrivateKey,
    /// When the first is not valid any more.
    pub expires: SystemTime,
}

/// A private key (DER: PKCS#8, SEC1 or PKCS#1). Cannot be copied or printed, and is wiped from
/// memory when it is dropped.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// The key in `der`.
    #[must_use]
    pub fn new(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    /// The key itself.
    #[must_use]
    pub fn secret_der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// The authorities that may vouch for peers (certificates, DER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The source does not say.
    Unknown,
    /// These, whatever the peer is called.
    Authorities(Vec<Arc<[u8]>>),
    /// Those of the peer's own trust domain and no others: peers are SPIFFE workloads.
    Domains(BTreeMap<TrustDomain, Vec<Arc<[u8]>>>),
}

/// Why a source has nothing to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unavailable {
    /// The reason, for people.
    pub why: Arc<str>,
}

impl Unavailable {
    /// Nothing is there, because of `why`.
    #[must_use]
    pub fn because(why: impl Into<Arc<str>>) -> Self {
        Self { why: why.into() }
    }
}

/// A [`Source`] that gives what was last put in.
#[derive(Debug)]
pub struct Feed(Cell<Result<Arc<Material>, Unavailable>>);

impl Feed {
    /// A feed that has nothing yet, because of `why`.
    #[must_use]
    pub fn empty(why: &str) -> Self {
        Self(Cell::new(Arc::new(Err(Unavailable::because(why)))))
    }

    /// A feed that gives `material` from the start.
    #[must_use]
    pub fn of(material: Material) -> Self {
        Self(Cell::new(Arc::new(Ok(Arc::new(material)))))
    }

    /// Gives `material` from now on.
    pub fn publish(&self, material: Material) {
        self.0.publish(Arc::new(Ok(Arc::new(material))));
    }

    /// Gives nothing from now on, because of `why`: no further handshake succeeds.
    pub fn withdraw(&self, why: &str) {
        self.0.publish(Arc::new(Err(Unavailable::because(why))));
    }
}

impl Source for Feed {
    fn current(&self) -> Result<Arc<Material>, Unavailable> {
        let guard = self.0.load();
        // The cell is never empty: it was made with a value.
        guard.as_ref().map_or_else(|| Err(Unavailable::because("")), |current| (**current).clone())
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn listen(&self, listener: &Arc<dyn Listen>) {
        self.0.listen(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_gives_the_last_material_or_the_reason() {
        let feed = Feed::empty("not read yet");
        assert_eq!(feed.current().unwrap_err(), Unavailable::because("not read yet"));
        let before = feed.generation();
        feed.publish(Material { identity: None, trust: Trust::Unknown, crls: Vec::new() });
        assert_eq!(feed.current().unwrap().trust, Trust::Unknown);
        assert_eq!(feed.generation(), before + 1);
        feed.withdraw("revoked");
        assert_eq!(feed.current().unwrap_err().to_string(), "revoked");
    }

    #[test]
    fn a_key_does_not_print() {
        let key = PrivateKey::new(b"secret".to_vec());
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }
}
