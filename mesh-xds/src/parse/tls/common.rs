//! What both sides have in common.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext,
    SubjectAltNameMatcher,
};
use mesh_core::identity::{SanKind, SanMatcher};

use crate::parse::{Path, Registry, Reject, matcher};

/// Refuses what would change who is at the other end, or how well it is known.
pub(super) fn check(message: &CommonTlsContext, path: &Path<'_>) -> Result<(), Reject> {
    for (name, is_set) in [
        ("tls_params", message.tls_params.is_some()),
        ("custom_handshaker", message.custom_handshaker.is_some()),
        ("custom_tls_certificate_selector", message.custom_tls_certificate_selector.is_some()),
    ] {
        if is_set {
            return Err(path.field(name).reject("is not supported"));
        }
    }
    Ok(())
}

/// The provider of the own identity, if there is one.
pub(super) fn identity(
    message: &CommonTlsContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Arc<str>>, Reject> {
    if let Some(instance) = &message.tls_certificate_provider_instance {
        let path = path.field("tls_certificate_provider_instance");
        return provider(instance, registry, &path).map(Some);
    }
    #[expect(deprecated, reason = "one that only knows these means TLS with a certificate")]
    let others = [
        ("tls_certificates", !message.tls_certificates.is_empty()),
        (
            "tls_certificate_sds_secret_configs",
            !message.tls_certificate_sds_secret_configs.is_empty(),
        ),
        (
            "tls_certificate_certificate_provider",
            message.tls_certificate_certificate_provider.is_some(),
        ),
        (
            "tls_certificate_certificate_provider_instance",
            message.tls_certificate_certificate_provider_instance.is_some(),
        ),
    ];
    match others.into_iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => {
            let why = "is not supported without tls_certificate_provider_instance";
            Err(path.field(name).reject(why))
        }
        None => Ok(None),
    }
}

/// What peers are checked against, and its field; `None` if nothing is said.
pub(super) fn validation<'a>(
    message: &'a CommonTlsContext,
    path: &Path<'_>,
) -> Result<Option<(&'a CertificateValidationContext, &'static str)>, Reject> {
    match &message.validation_context_type {
        None => Ok(None),
        Some(ValidationContextType::ValidationContext(context)) => {
            Ok(Some((context, "validation_context")))
        }
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            let path = path.field("combined_validation_context");
            if combined.validation_context_sds_secret_config.is_some() {
                let path = path.field("validation_context_sds_secret_config");
                return Err(path.reject("is not supported"));
            }
            let required = || path.field("default_validation_context").reject("is required");
            let context = combined.default_validation_context.as_ref().ok_or_else(required)?;
            Ok(Some((context, "combined_validation_context.default_validation_context")))
        }
        Some(ValidationContextType::ValidationContextSdsSecretConfig(_)) => {
            Err(path.field("validation_context_sds_secret_config").reject("is not supported"))
        }
        #[expect(deprecated, reason = "named, to be refused")]
        Some(
            ValidationContextType::ValidationContextCertificateProvider(_)
            | ValidationContextType::ValidationContextCertificateProviderInstance(_),
        ) => {
            let path = path.field("validation_context_certificate_provider_instance");
            Err(path.reject("is not supported without validation_context"))
        }
    }
}

/// Refuses checks of peers that we do not make.
pub(super) fn check_validation(
    message: &CertificateValidationContext,
    path: &Path<'_>,
) -> Result<(), Reject> {
    let wants_timestamp = message.require_signed_certificate_timestamp.is_some_and(|v| v.value);
    for (name, is_set) in [
        ("verify_certificate_spki", !message.verify_certificate_spki.is_empty()),
        ("verify_certificate_hash", !message.verify_certificate_hash.is_empty()),
        ("require_signed_certificate_timestamp", wants_timestamp),
        ("crl", message.crl.is_some()),
        ("custom_validator_config", message.custom_validator_config.is_some()),
        ("max_verify_depth", message.max_verify_depth.is_some()),
    ] {
        if is_set {
            return Err(path.field(name).reject("is not supported"));
        }
    }
    Ok(())
}

/// The provider of authorities, if one is named.
pub(super) fn authorities(
    message: &CertificateValidationContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Arc<str>>, Reject> {
    let instance = message.ca_certificate_provider_instance.as_ref();
    let path = path.field("ca_certificate_provider_instance");
    instance.map(|instance| provider(instance, registry, &path)).transpose()
}

/// Who peers may be.
pub(super) fn accepted(
    message: &CertificateValidationContext,
    path: &Path<'_>,
) -> Result<Box<[SanMatcher]>, Reject> {
    #[expect(deprecated, reason = "control planes send it")]
    let any = &message.match_subject_alt_names;
    let typed = &message.match_typed_subject_alt_names;
    // Envoy ignores the older field where the newer one is set.
    if !typed.is_empty() {
        let parse =
            |(at, message)| san(message, &path.element("match_typed_subject_alt_names", at));
        return typed.iter().enumerate().map(parse).collect();
    }
    let parse = |(at, message)| {
        let path = path.element("match_subject_alt_names", at);
        matcher::string(message, &path).map(SanMatcher::any)
    };
    any.iter().enumerate().map(parse).collect()
}

fn san(message: &SubjectAltNameMatcher, path: &Path<'_>) -> Result<SanMatcher, Reject> {
    let kind = match SanType::try_from(message.san_type) {
        Ok(SanType::Uri) => SanKind::Uri,
        Ok(SanType::Dns) => SanKind::Dns,
        Ok(SanType::Email) => SanKind::Email,
        Ok(SanType::IpAddress) => SanKind::Ip,
        Ok(SanType::Unspecified | SanType::OtherName) | Err(_) => {
            return Err(path.field("san_type").reject("is not supported"));
        }
    };
    let path = path.field("matcher");
    let message = message.matcher.as_ref().ok_or_else(|| path.reject("is required"))?;
    Ok(SanMatcher::typed(kind, matcher::string(message, &path)?))
}

fn provider(
    instance: &CertificateProviderPluginInstance,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Arc<str>, Reject> {
    let (name, path) = (&instance.instance_name, path.field("instance_name"));
    if name.is_empty() {
        return Err(path.reject("is empty"));
    }
    if !registry.has_certificate_provider(name) {
        return Err(
            path.reject(format_args!("{name:?} is no certificate provider of the bootstrap"))
        );
    }
    Ok(name.as_str().into())
}
