//! Secrets (SDS) to what handshakes need. No error here quotes a secret.
//!
//! Only what is in the secret itself is read: none makes this process open a file or read its
//! environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret as Message, SpiffeCertValidatorConfig, TlsCertificate,
};
use envoy_types::pb::google::protobuf::Any;
use mesh_core::identity::{Identity, Material, Trust, TrustDomain};
use prost::{Message as _, Name};
use rustls::crypto::CryptoProvider;
use zeroize::{Zeroize, Zeroizing};

use super::material;
use crate::parse::secret::SecretReader;
use crate::parse::{Path, Reject};
use crate::tls::pem;

/// What a secret is.
pub(super) enum Secret {
    /// What to present.
    Identity(Identity),
    /// Who may vouch for peers, and revocation lists.
    Authorities(Trust, Vec<Arc<[u8]>>),
}

/// Reads the secrets of management servers, for a [`Registry`](crate::parse::Registry).
#[derive(Debug)]
pub struct Secrets {
    crypto: Arc<CryptoProvider>,
}

impl Secrets {
    /// Keys are checked with `crypto`.
    #[must_use]
    pub fn new(crypto: Arc<CryptoProvider>) -> Self {
        Self { crypto }
    }
}

impl Default for Secrets {
    /// aws-lc-rs does the cryptography.
    fn default() -> Self {
        Self { crypto: Arc::new(rustls::crypto::aws_lc_rs::default_provider()) }
    }
}

impl SecretReader for Secrets {
    fn read(&self, raw: &[u8]) -> Result<Material, Reject> {
        let path = Path::root();
        let message = Message::decode(raw).map_err(|_| path.reject("cannot be decoded"))?;
        Ok(match secret(message, &self.crypto)? {
            Secret::Identity(identity) => {
                Material { identity: Some(identity), trust: Trust::Unknown, crls: Vec::new() }
            }
            Secret::Authorities(trust, crls) => Material { identity: None, trust, crls },
        })
    }
}

/// The secret called `name` that is in `any`.
pub(super) fn read(mut any: Any, name: &str, crypto: &CryptoProvider) -> Result<Secret, String> {
    let is_secret = any.type_url.rsplit('/').next() == Some(&*Message::full_name());
    let message = match is_secret {
        true => Message::decode(&*any.value).map_err(|_| "it cannot be decoded".to_owned()),
        false => Err(format!("{} is not {}", any.type_url, Message::NAME)),
    };
    any.value.zeroize();
    let message = message?;
    if message.name != name {
        return Err(format!("it is called {:?}", message.name));
    }
    secret(message, crypto).map_err(|reject| reject.to_string())
}

fn secret(message: Message, crypto: &CryptoProvider) -> Result<Secret, Reject> {
    let path = Path::root();
    match message.r#type {
        Some(Type::TlsCertificate(message)) => {
            identity(message, crypto, &path.field("tls_certificate")).map(Secret::Identity)
        }
        Some(Type::ValidationContext(message)) => {
            authorities(&message, &path.field("validation_context"))
        }
        Some(Type::SessionTicketKeys(_) | Type::GenericSecret(_)) | None => {
            Err(path.reject("it is neither a tls_certificate nor a validation_context"))
        }
    }
}

fn identity(
    message: TlsCertificate,
    crypto: &CryptoProvider,
    path: &Path<'_>,
) -> Result<Identity, Reject> {
    let key = inline(message.private_key.as_ref(), &path.field("private_key"))
        .map(|key| Zeroizing::new(key.to_vec()));
    wipe(message.private_key);
    for (field, is_set) in [
        ("private_key_provider", message.private_key_provider.is_some()),
        ("pkcs12", message.pkcs12.is_some()),
        ("password", message.password.is_some()),
    ] {
        if is_set {
            return Err(path.field(field).reject("is not supported"));
        }
    }
    let chain = inline(message.certificate_chain.as_ref(), &path.field("certificate_chain"))?;
    material::identity(chain, &key?, crypto).map_err(|why| path.reject(why))
}

/// Who may vouch for peers. What would narrow that down further is refused, not ignored.
fn authorities(message: &CertificateValidationContext, path: &Path<'_>) -> Result<Secret, Reject> {
    #[expect(deprecated, reason = "control planes send it")]
    let names = &message.match_subject_alt_names;
    let wants_timestamp = message.require_signed_certificate_timestamp.is_some_and(|v| v.value);
    for (field, is_set) in [
        ("verify_certificate_spki", !message.verify_certificate_spki.is_empty()),
        ("verify_certificate_hash", !message.verify_certificate_hash.is_empty()),
        ("match_typed_subject_alt_names", !message.match_typed_subject_alt_names.is_empty()),
        ("match_subject_alt_names", !names.is_empty()),
        ("require_signed_certificate_timestamp", wants_timestamp),
        ("max_verify_depth", message.max_verify_depth.is_some()),
        ("system_root_certs", message.system_root_certs.is_some()),
    ] {
        if is_set {
            return Err(path.field(field).reject("is not supported in a secret"));
        }
    }
    let trust = match &message.custom_validator_config {
        // SPIRE's `ALL` has a bundle for each trust domain.
        Some(config) => {
            domains(config.typed_config.as_ref(), &path.field("custom_validator_config"))?
        }
        None => {
            let path = path.field("trusted_ca");
            let roots = inline(message.trusted_ca.as_ref(), &path)?;
            material::authorities(roots).map_err(|why| path.reject(why))?
        }
    };
    let lists = match &message.crl {
        Some(crl) => {
            let path = path.field("crl");
            let pem = inline(Some(crl), &path)?;
            material::revocation_lists(pem).map_err(|why| path.reject(why))?
        }
        None => Vec::new(),
    };
    Ok(Secret::Authorities(trust, lists))
}

/// The bundles of `SPIFFECertValidatorConfig`.
fn domains(config: Option<&Any>, path: &Path<'_>) -> Result<Trust, Reject> {
    let name = "SPIFFECertValidatorConfig";
    let config = config.filter(|any| any.type_url.ends_with(name));
    let config = config.ok_or_else(|| path.reject(format_args!("it is not {name}")))?;
    let config = SpiffeCertValidatorConfig::decode(&*config.value)
        .map_err(|_| path.reject("it cannot be decoded"))?;
    if config.trust_bundles.is_some() {
        return Err(path.field("trust_bundles").reject("is not supported"));
    }
    let mut domains = BTreeMap::new();
    for (at, entry) in config.trust_domains.iter().enumerate() {
        let path = path.element("trust_domains", at);
        if !entry.workload_trust_domain.is_empty() {
            return Err(path.field("workload_trust_domain").reject("is not supported"));
        }
        let domain = TrustDomain::parse(&entry.name);
        let domain = domain.map_err(|error| path.field("name").reject(error))?;
        let path = path.field("trust_bundle");
        let bundle = inline(entry.trust_bundle.as_ref(), &path)?;
        let bundle = pem::certificates(bundle).map_err(|why| path.reject(why))?;
        domains.insert(domain, bundle);
    }
    Ok(Trust::Domains(domains))
}

fn inline<'a>(source: Option<&'a DataSource>, path: &Path<'_>) -> Result<&'a [u8], Reject> {
    match source.and_then(|source| source.specifier.as_ref()) {
        Some(Specifier::InlineBytes(bytes)) => Ok(bytes),
        Some(Specifier::InlineString(text)) => Ok(text.as_bytes()),
        Some(Specifier::Filename(_) | Specifier::EnvironmentVariable(_)) => {
            Err(path.reject("is not inline"))
        }
        None => Err(path.reject("is missing")),
    }
}

/// Wipes a secret that has been copied.
fn wipe(source: Option<DataSource>) {
    match source.and_then(|source| source.specifier) {
        Some(Specifier::InlineBytes(mut bytes)) => bytes.zeroize(),
        Some(Specifier::InlineString(mut text)) => text.zeroize(),
        Some(Specifier::Filename(_) | Specifier::EnvironmentVariable(_)) | None => {}
    }
}
