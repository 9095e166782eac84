//! Revocation lists, and whose certificates they are about (gRFC A69).
//!
//! A list names its authority as a certificate names its issuer: by a name, and by an identifier of
//! the key. While authorities are replaced, two of one name are trusted; the lists of the one say
//! nothing of the certificates of the other.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::leaf::parse;

/// A revocation list.
pub(super) struct RevocationList {
    list: CertRevocationList<'static>,
    /// `None` if only the name is known: then it may be about every certificate of that issuer.
    key: Option<Key>,
}

/// An authority: its name, and the identifier of its key.
#[derive(PartialEq, Eq)]
struct Key {
    name: Box<[u8]>,
    id: Box<[u8]>,
}

/// All revocation lists of a certificate provider.
pub(super) struct Revocations(Vec<RevocationList>);

impl Revocations {
    /// The lists in `all` (DER).
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn new(all: &[Arc<[u8]>]) -> Result<Self, String> {
        all.iter().map(|der| RevocationList::new(der)).collect::<Result<_, _>>().map(Self)
    }

    /// All lists.
    pub(super) fn all(&self) -> Vec<&CertRevocationList<'static>> {
        self.0.iter().map(|revocation| &revocation.list).collect()
    }

    /// The lists that may be about one of `chain`; `None` if those are all.
    pub(super) fn about(
        &self,
        chain: &[CertificateDer<'_>],
    ) -> Option<Vec<&CertRevocationList<'static>>> {
        let issuers = chain.iter().map(|der| issuer(der)).collect::<Option<Vec<_>>>()?;
        let about: Vec<_> = self.0.iter().filter(|list| list.is_about(&issuers)).collect();
        (about.len() < self.0.len()).then(|| about.iter().map(|list| &list.list).collect())
    }
}

impl RevocationList {
    fn new(der: &[u8]) -> Result<Self, String> {
        let list = OwnedCertRevocationList::from_der(der);
        let list = list.map_err(|error| format!("a revocation list cannot be read: {error}"))?;
        let key = match CertificateRevocationList::from_der(der) {
            Ok((_, list)) => Key::new(list.issuer().as_raw(), list.extensions()),
            Err(_) => None,
        };
        Ok(Self { list: list.into(), key })
    }

    fn is_about(&self, issuers: &[Key]) -> bool {
        self.key.as_ref().is_none_or(|key| issuers.contains(key))
    }
}

impl Key {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of many extensions one is read")]
    fn new(name: &[u8], extensions: &[X509Extension<'_>]) -> Option<Self> {
        let id = extensions.iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
            _ => None,
        })?;
        Some(Self { name: name.into(), id: id.0.into() })
    }
}

/// Who has issued a certificate (DER), if it says by which key.
fn issuer(der: &[u8]) -> Option<Key> {
    let certificate = parse(der).ok()?;
    Key::new(certificate.issuer().as_raw(), certificate.extensions())
}

/// Certificates of authorities without a list are accepted, as gRFC A69 has it by default; and a
/// list that should have been replaced still revokes what it names.
pub(super) fn options<'a>(
    lists: &'a [&'a CertRevocationList<'a>],
) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build(),
    )
}
