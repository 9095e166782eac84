//! Secrets (SDS) to what handshakes need. No error here quotes a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret as Message, SpiffeCertValidatorConfig, TlsCertificate,
};
use envoy_types::pb::google::protobuf::Any;
use mesh_core::identity::{Identity, Trust, TrustDomain};
use prost::{Message as _, Name};
use rustls::crypto::CryptoProvider;
use zeroize::{Zeroize, Zeroizing};

use super::material;
use crate::tls::pem;

/// What a secret is.
pub(super) enum Secret {
    /// What to present.
    Identity(Identity),
    /// Who may vouch for peers, and revocation lists.
    Authorities(Trust, Vec<Arc<[u8]>>),
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
    match message.r#type {
        Some(Type::TlsCertificate(message)) => identity(message, crypto).map(Secret::Identity),
        Some(Type::ValidationContext(message)) => authorities(&message),
        Some(Type::SessionTicketKeys(_) | Type::GenericSecret(_)) | None => {
            Err("it is neither a tls_certificate nor a validation_context".to_owned())
        }
    }
}

fn identity(message: TlsCertificate, crypto: &CryptoProvider) -> Result<Identity, String> {
    let key = inline(message.private_key.as_ref(), "tls_certificate.private_key")
        .map(|key| Zeroizing::new(key.to_vec()));
    wipe(message.private_key);
    for (field, is_set) in [
        ("private_key_provider", message.private_key_provider.is_some()),
        ("pkcs12", message.pkcs12.is_some()),
        ("password", message.password.is_some()),
    ] {
        if is_set {
            return Err(format!("tls_certificate.{field} is not supported"));
        }
    }
    let chain = inline(message.certificate_chain.as_ref(), "tls_certificate.certificate_chain")?;
    material::identity(chain, &key?, crypto).map_err(|why| format!("tls_certificate: {why}"))
}

/// Who may vouch for peers. What would narrow that down further is refused, not ignored.
fn authorities(message: &CertificateValidationContext) -> Result<Secret, String> {
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
            return Err(format!("validation_context.{field} is not supported in a secret"));
        }
    }
    let of = |field: &'static str| move |why| format!("validation_context.{field}: {why}");
    let trust = match &message.custom_validator_config {
        // SPIRE's `ALL` has a bundle for each trust domain.
        Some(config) => {
            let config = config.typed_config.as_ref();
            domains(config).map_err(of("custom_validator_config"))?
        }
        None => {
            let roots = inline(message.trusted_ca.as_ref(), "validation_context.trusted_ca")?;
            material::authorities(roots).map_err(of("trusted_ca"))?
        }
    };
    let lists = match &message.crl {
        Some(crl) => inline(Some(crl), "validation_context.crl")
            .and_then(|pem| material::revocation_lists(pem).map_err(of("crl")))?,
        None => Vec::new(),
    };
    Ok(Secret::Authorities(trust, lists))
}

/// The bundles of `SPIFFECertValidatorConfig`.
fn domains(config: Option<&Any>) -> Result<Trust, String> {
    let name = "SPIFFECertValidatorConfig";
    let config = config.filter(|any| any.type_url.ends_with(name));
    let config = config.ok_or_else(|| format!("it is not {name}"))?;
    let config = SpiffeCertValidatorConfig::decode(&*config.value)
        .map_err(|_| "it cannot be decoded".to_owned())?;
    if config.trust_bundles.is_some() {
        return Err("trust_bundles is not supported".to_owned());
    }
    let mut domains = BTreeMap::new();
    for entry in &config.trust_domains {
        if !entry.workload_trust_domain.is_empty() {
            return Err("workload_trust_domain is not supported".to_owned());
        }
        let domain = TrustDomain::parse(&entry.name);
        let domain = domain.map_err(|error| format!("{:?}: {error}", entry.name))?;
        let bundle = inline(entry.trust_bundle.as_ref(), &entry.name)?;
        let bundle = pem::certificates(bundle).map_err(|why| format!("{domain}: {why}"))?;
        domains.insert(domain, bundle);
    }
    Ok(Trust::Domains(domains))
}

fn inline<'a>(source: Option<&'a DataSource>, field: &str) -> Result<&'a [u8], String> {
    match source.and_then(|source| source.specifier.as_ref()) {
        Some(Specifier::InlineBytes(bytes)) => Ok(bytes),
        Some(Specifier::InlineString(text)) => Ok(text.as_bytes()),
        Some(Specifier::Filename(_) | Specifier::EnvironmentVariable(_)) => {
            Err(format!("{field} is not inline"))
        }
        None => Err(format!("{field} is missing")),
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
