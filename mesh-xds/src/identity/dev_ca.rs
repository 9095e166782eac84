//! A certificate authority for development and tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mesh_core::identity::{Identity, Material, PrivateKey, SpiffeIdError, Trust, TrustDomain};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// How long a certificate is valid unless it is asked for another time.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How long before now certificates are valid, for clocks that differ.
const SKEW: Duration = Duration::from_secs(60);

/// A certificate authority in memory, for one trust domain. For development and tests: its key is
/// never written, and whoever has it can be anybody.
///
/// ```
/// # fn main() -> Result<(), mesh_xds::identity::DevCaError> {
/// use mesh_xds::identity::DevCa;
///
/// let ca = DevCa::new("cluster.local")?;
/// let cart = ca.issue(&ca.workload("/ns/shop/sa/cart"))?;
/// assert!(cart.chain_pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// # Ok(())
/// # }
/// ```
pub struct DevCa {
    domain: TrustDomain,
    root: Arc<[u8]>,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
    next: AtomicU64,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is issued"]
pub struct Request {
    uris: Vec<String>,
    dns_names: Vec<String>,
    time: (SystemTime, SystemTime),
    is_authority: bool,
    usages: Vec<KeyUsagePurpose>,
}

/// A certificate with its key.
pub struct Issued {
    der: Arc<[u8]>,
    pem: String,
    key: KeyPair,
    serial: u64,
    expires: SystemTime,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevCaError {
    /// The name of the trust domain is none.
    #[error(transparent)]
    TrustDomain(#[from] SpiffeIdError),
    /// The certificate cannot be made.
    #[error("the certificate cannot be made: {0}")]
    Certificate(String),
}

impl DevCa {
    /// An authority for `trust_domain`, valid for ten years.
    ///
    /// # Errors
    /// When that is no name of a trust domain, or no key can be made.
    pub fn new(trust_domain: &str) -> Result<Self, DevCaError> {
        let domain = TrustDomain::parse(trust_domain)?;
        let key = key()?;
        let now = SystemTime::now();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - SKEW);
        params.not_after =
            date_time_ymd(1970, 1, 1) + since_1970(now + Duration::from_secs(10 * 365 * 86_400));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, domain.as_str());
        params.distinguished_name.push(DnType::CommonName, "development CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))?];
        let root = params.self_signed(&key).map_err(fault)?;
        Ok(Self {
            domain,
            root: Arc::from(root.der().as_ref()),
            root_pem: root.pem(),
            issuer: Issuer::new(params, key),
            next: AtomicU64::new(1),
        })
    }

    /// Its own certificate in PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Its own certificate (DER).
    #[must_use]
    pub fn root_der(&self) -> &Arc<[u8]> {
        &self.root
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Trust in this authority, and those of `others`, each for its own trust domain.
    #[must_use]
    pub fn trust(&self, others: &[&Self]) -> Trust {
        let all = std::iter::once(self).chain(others.iter().copied());
        let bundle = |ca: &Self| (ca.domain.clone(), vec![ca.root.clone()]);
        Trust::Domains(all.map(bundle).collect::<BTreeMap<_, _>>())
    }

    /// A request for the workload at `path` of the trust domain, valid for an hour.
    pub fn workload(&self, path: &str) -> Request {
        let now = SystemTime::now();
        Request {
            uris: vec![format!("spiffe://{}{path}", self.domain)],
            dns_names: Vec::new(),
            time: (now - SKEW, now + LIFETIME),
            is_authority: false,
            usages: vec![KeyUsagePurpose::DigitalSignature],
        }
    }

    /// Issues what `request` asks for, whether it makes sense or not.
    ///
    /// # Errors
    /// When a name cannot be in a certificate.
    pub fn issue(&self, request: &Request) -> Result<Issued, DevCaError> {
        let key = key()?;
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(1970, 1, 1) + since_1970(request.time.0);
        params.not_after = date_time_ymd(1970, 1, 1) + since_1970(request.time.1);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, self.domain.as_str());
        params.is_ca = match request.is_authority {
            true => IsCa::Ca(BasicConstraints::Unconstrained),
            false => IsCa::ExplicitNoCa,
        };
        params.key_usages = request.usages.clone();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        for name in &request.uris {
            params.subject_alt_names.push(uri(name)?);
        }
        for name in &request.dns_names {
            let name = Ia5String::try_from(name.as_str()).map_err(fault)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let certificate = params.signed_by(&key, &self.issuer).map_err(fault)?;
        Ok(Issued {
            der: Arc::from(certificate.der().as_ref()),
            pem: certificate.pem(),
            key,
            serial,
            expires: request.time.1,
        })
    }

    /// An identity as `request` asks for, and trust in this authority.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn material(&self, request: &Request) -> Result<Material, DevCaError> {
        let identity = Some(self.issue(request)?.identity());
        Ok(Material { identity, trust: self.trust(&[]), crls: Vec::new() })
    }

    /// A revocation list that names `revoked` (DER).
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn revocation_list(&self, revoked: &[&Issued]) -> Result<Arc<[u8]>, DevCaError> {
        self.revocation_list_of(revoked, SystemTime::now())
    }

    /// The same, as it was made at `now`.
    pub(crate) fn revocation_list_of(
        &self,
        revoked: &[&Issued],
        now: SystemTime,
    ) -> Result<Arc<[u8]>, DevCaError> {
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(1970, 1, 1) + since_1970(now - SKEW),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_1970(now - SKEW),
            next_update: date_time_ymd(1970, 1, 1) + since_1970(now + Duration::from_secs(86_400)),
            crl_number: SerialNumber::from(self.next.fetch_add(1, Ordering::Relaxed)),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(fault)?;
        Ok(Arc::from(list.der().as_ref()))
    }
}

impl Request {
    /// Adds a URI name.
    pub fn uri(mut self, uri: &str) -> Self {
        self.uris.push(uri.to_owned());
        self
    }

    /// Adds a DNS name.
    pub fn dns_name(mut self, name: &str) -> Self {
        self.dns_names.push(name.to_owned());
        self
    }

    /// Leaves all URI names out that there are so far.
    pub fn without_uris(mut self) -> Self {
        self.uris.clear();
        self
    }

    /// Valid from one time to another.
    pub fn valid(mut self, from: SystemTime, until: SystemTime) -> Self {
        self.time = (from, until);
        self
    }

    /// Valid from now for `lifetime`.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.time.1 = SystemTime::now() + lifetime;
        self
    }

    /// An authority's certificate.
    pub fn authority(mut self) -> Self {
        self.is_authority = true;
        self.usages.push(KeyUsagePurpose::KeyCertSign);
        self
    }
}

impl Issued {
    /// The certificate (DER).
    #[must_use]
    pub fn der(&self) -> &Arc<[u8]> {
        &self.der
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.pem
    }

    /// The key in PEM. Secret.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Both, as a source gives them.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            chain: vec![self.der.clone()],
            key: PrivateKey::new(self.key.serialize_der()),
            expires: self.expires,
        }
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("serial", &self.serial).finish_non_exhaustive()
    }
}

fn key() -> Result<KeyPair, DevCaError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(fault)
}

fn uri(name: &str) -> Result<SanType, DevCaError> {
    Ok(SanType::URI(Ia5String::try_from(name).map_err(fault)?))
}

fn fault(error: impl fmt::Display) -> DevCaError {
    DevCaError::Certificate(error.to_string())
}

/// The seconds from 1970 to `time`.
fn since_1970(time: SystemTime) -> Duration {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Duration::from_secs(since.as_secs())
}
