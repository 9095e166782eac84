//! Certificates, revocation lists, bundles and PEM.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use mesh_core::identity::{Feed, Identification, Material, Refusal, Trust};
use mesh_xds::identity::{Pem, Secrets, bundle_map};
use mesh_xds::parse::secret::SecretReader;
use mesh_xds::tls::{self, Credentials, PeerCheck, Side};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates that are good: an authority's, and one that it has issued.
const AUTHORITY: &[u8] = include_bytes!("../corpus/leaf/authority");
const WORKLOAD: &[u8] = include_bytes!("../corpus/leaf/workload");

/// While both are valid.
const NOW: u64 = 1_800_000_000;

/// The input is a peer's certificate. Whoever is given a SPIFFE ID has one URI name, which is it.
/// None but the one that was signed is accepted.
pub(crate) fn leaf(input: &[u8]) {
    drop(tls::certificate(input));
    let Ok(leaf) = tls::leaf(input) else { return };
    drop((leaf.check(None, SystemTime::UNIX_EPOCH), leaf.names.describe()));
    let found = leaf.spiffe_id(Identification::Spiffe);
    if let Ok(any) = leaf.spiffe_id(Identification::AnyName) {
        assert!(any.is_none() || found.as_ref() == Ok(&any), "{any:?}");
    }
    if let Ok(found) = found {
        let found = found.expect("a SPIFFE workload has a SPIFFE ID");
        assert_eq!(uris(input), [found.as_str()]);
    }
    let accepted = check(Vec::new(), &[input]).is_ok();
    assert!(!accepted || input == WORKLOAD, "accepted is what nobody has signed");
}

/// The URI names in a certificate, read otherwise.
fn uris(der: &[u8]) -> Vec<&str> {
    let (rest, certificate) = X509Certificate::from_der(der).expect("it is one");
    assert!(rest.is_empty());
    let names = certificate.subject_alternative_name().expect("it has this extension once");
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    let uri = |name: &GeneralName<'_>| {
        let GeneralName::URI(uri) = name else { return None };
        // Of the certificate's own bytes.
        let at = der.windows(uri.len()).position(|bytes| bytes == uri.as_bytes());
        std::str::from_utf8(&der[at?..][..uri.len()]).ok()
    };
    names.filter_map(uri).collect()
}

/// The input is a revocation list, for a good certificate. One that cannot be read lets nobody in.
pub(crate) fn revocation(input: &[u8]) {
    let is_list = webpki::OwnedCertRevocationList::from_der(input).is_ok();
    match check(vec![input.into()], &[WORKLOAD]) {
        Ok(()) | Err(Refusal::Revoked | Refusal::Chain(_) | Refusal::UnknownIssuer) => {
            assert!(is_list);
        }
        Err(Refusal::NoAuthorities(_)) => assert!(!is_list),
        Err(other) => panic!("a revocation list makes a good certificate {other:?}"),
    }
}

/// Whether `chain` is accepted as a client's, by the authority and revocation lists `crls`.
fn check(crls: Vec<Arc<[u8]>>, chain: &[&[u8]]) -> Result<(), Refusal> {
    let domain = mesh_core::identity::TrustDomain::parse("td").expect("the name is good");
    let trust = Trust::Domains([(domain, vec![AUTHORITY.into()])].into());
    let feed = Arc::new(Feed::of(Material { identity: None, trust, crls }));
    let credentials = Arc::new(Credentials::new("fuzz", feed, crypto().clone()));
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    PeerCheck::new(credentials, &[], Side::Client).check(&chain, now)
}

fn crypto() -> &'static Arc<CryptoProvider> {
    static CRYPTO: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    CRYPTO.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// The input is PEM, of any kind. Authorities are there or refused; an identity has its key.
pub(crate) fn pem(input: &[u8]) {
    let input = input.to_vec();
    drop(Pem::new().authorities(input.clone()).source(crypto()));
    drop(Pem::new().revocation_lists(input.clone()).source(crypto()));
    if let Ok(source) = Pem::new().identity(input.clone(), input).source(crypto()) {
        let credentials = Credentials::new("fuzz", source, crypto().clone());
        assert_eq!(credentials.check_identity(), Ok(()));
    }
}

/// The input is a secret. One that is taken is an identity with its key, or says whom to trust.
pub(crate) fn secrets(input: &[u8]) {
    let Ok(material) = Secrets::new(crypto().clone()).read(input) else { return };
    assert_ne!(material.identity.is_some(), material.trust != Trust::Unknown);
    if material.identity.is_some() {
        let source = Arc::new(Feed::of(material));
        let credentials = Credentials::new("fuzz", source, crypto().clone());
        assert_eq!(credentials.check_identity(), Ok(()));
    }
}

/// The input is a map of SPIFFE bundles. What is trusted then is certificates.
pub(crate) fn bundles(input: &[u8]) {
    let Ok((bundles, faults)) = bundle_map::parse(input) else { return };
    assert!(faults.iter().all(|fault| fault.starts_with("trust domain ")));
    for authority in bundles.values().flatten() {
        assert!(X509Certificate::from_der(authority).is_ok_and(|(rest, _)| rest.is_empty()));
    }
}
