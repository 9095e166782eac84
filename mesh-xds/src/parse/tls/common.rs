//! What both sides have in common.

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext,
    SdsSecretConfig, SubjectAltNameMatcher,
};
use mesh_core::identity::{Provider, SanKind, SanMatcher};

use super::secret;
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

/// Who gives the own identity, if somebody does.
pub(super) fn identity(
    message: &CommonTlsContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Provider>, Reject> {
    if let Some(instance) = &message.tls_certificate_provider_instance {
        let path = path.field("tls_certificate_provider_instance");
        return provider(instance, registry, &path).map(Some);
    }
    match &message.tls_certificate_sds_secret_configs[..] {
        [] => {}
        // Inline ones count beside it.
        [config] if message.tls_certificates.is_empty() => {
            let path = path.element("tls_certificate_sds_secret_configs", 0);
            return secret::provider(config, registry, &path).map(Some);
        }
        [_, ..] => {
            let path = path.field("tls_certificate_sds_secret_configs");
            return Err(path.reject("must be the only certificate"));
        }
    }
    #[expect(deprecated, reason = "one that only knows these means TLS with a certificate")]
    let others = [
        ("tls_certificates", !message.tls_certificates.is_empty()),
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
            let why = "is not supported without tls_certificate_provider_instance or a secret";
            Err(path.field(name).reject(why))
        }
        None => Ok(None),
    }
}

/// What peers are checked against.
pub(super) struct Validation<'a> {
    /// The checks, and the name of their field; `None` if there are none but those of a secret.
    pub(super) context: Option<(&'a CertificateValidationContext, &'static str)>,
    /// Where the authorities are, if they are a secret, and the name of its field.
    secret: Option<(&'a SdsSecretConfig, &'static str)>,
}

/// What peers are checked against; `None` if nothing is said.
pub(super) fn validation<'a>(
    message: &'a CommonTlsContext,
    path: &Path<'_>,
) -> Result<Option<Validation<'a>>, Reject> {
    let Some(kind) = &message.validation_context_type else { return Ok(None) };
    Ok(Some(match kind {
        ValidationContextType::ValidationContext(context) => {
            Validation { context: Some((context, "validation_context")), secret: None }
        }
        ValidationContextType::CombinedValidationContext(combined) => {
            let default = "combined_validation_context.default_validation_context";
            let context = combined.default_validation_context.as_ref();
            let secret = combined.validation_context_sds_secret_config.as_ref();
            if context.is_none() && secret.is_none() {
                return Err(path.field(default).reject("is required"));
            }
            let field = "combined_validation_context.validation_context_sds_secret_config";
            Validation {
                context: context.map(|context| (context, default)),
                secret: secret.map(|secret| (secret, field)),
            }
        }
        ValidationContextType::ValidationContextSdsSecretConfig(secret) => {
            let field = "validation_context_sds_secret_config";
            Validation { context: None, secret: Some((secret, field)) }
        }
        #[expect(deprecated, reason = "named, to be refused")]
        ValidationContextType::ValidationContextCertificateProvider(_)
        | ValidationContextType::ValidationContextCertificateProviderInstance(_) => {
            let path = path.field("validation_context_certificate_provider_instance");
            return Err(path.reject("is not supported without validation_context"));
        }
    }))
}

impl Validation<'_> {
    /// Refuses checks that we do not make; who may vouch for peers, if somebody is named.
    pub(super) fn authorities(
        &self,
        registry: &Registry,
        path: &Path<'_>,
    ) -> Result<Option<Provider>, Reject> {
        let instance = match self.context {
            Some((context, field)) => {
                let path = path.field(field);
                check_validation(context, &path)?;
                if self.secret.is_some() && context.system_root_certs.is_some() {
                    let path = path.field("system_root_certs");
                    return Err(path.reject("is not supported beside a secret"));
                }
                authorities(context, registry, &path)?
            }
            None => None,
        };
        match (instance, self.secret) {
            (Some(_), Some((_, field))) => Err(path
                .field(field)
                .reject("is not supported beside ca_certificate_provider_instance")),
            (None, Some((secret, field))) => {
                secret::provider(secret, registry, &path.field(field)).map(Some)
            }
            (instance, None) => Ok(instance),
        }
    }

    /// Who peers may be. Secrets do not say that.
    pub(super) fn accepted(&self, path: &Path<'_>) -> Result<Box<[SanMatcher]>, Reject> {
        match self.context {
            Some((context, field)) => accepted(context, &path.field(field)),
            None => Ok(Box::default()),
        }
    }

    /// The operating system's authorities may vouch for peers.
    pub(super) fn wants_system(&self) -> bool {
        self.context.is_some_and(|(context, _)| context.system_root_certs.is_some())
    }

    /// Says that nobody is named who could vouch for peers.
    pub(super) fn missing(&self, path: &Path<'_>) -> Reject {
        path.field(self.field()).field("ca_certificate_provider_instance").reject("is required")
    }

    /// Refuses the operating system's authorities because of `why`.
    pub(super) fn refuse_system(&self, why: &str, path: &Path<'_>) -> Reject {
        path.field(self.field()).field("system_root_certs").reject(why)
    }

    fn field(&self) -> &'static str {
        self.context.map_or("validation_context", |(_, field)| field)
    }
}

/// Refuses checks of peers that we do not make.
fn check_validation(message: &CertificateValidationContext, path: &Path<'_>) -> Result<(), Reject> {
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
fn authorities(
    message: &CertificateValidationContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Provider>, Reject> {
    let instance = message.ca_certificate_provider_instance.as_ref();
    let path = path.field("ca_certificate_provider_instance");
    instance.map(|instance| provider(instance, registry, &path)).transpose()
}

/// Who peers may be.
fn accepted(
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
) -> Result<Provider, Reject> {
    let (name, path) = (&instance.instance_name, path.field("instance_name"));
    if name.is_empty() {
        return Err(path.reject("is empty"));
    }
    if !registry.has_certificate_provider(name) {
        return Err(
            path.reject(format_args!("{name:?} is no certificate provider of the bootstrap"))
        );
    }
    Ok(Provider::from(name.as_str()))
}
