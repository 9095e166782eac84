//! `SdsSecretConfig` to who gives the secret.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::grpc_service::TargetSpecifier;
use envoy_types::pb::envoy::config::core::v3::{ApiConfigSource, api_config_source::ApiType};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;
use mesh_core::identity::Provider;

use crate::name::{ResourceName, ResourceType};
use crate::parse::{Path, Registry, Reject};

/// Who gives the secret that `message` at `path` names.
///
/// Without an `sds_config`, or with `ads` or `self`, it is a resource from where this one comes from.
/// An agent that a gRPC service of Envoy's stands for, such as Istio's `sds-grpc`, is the certificate
/// provider of that name.
pub(super) fn provider(
    message: &SdsSecretConfig,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Provider, Reject> {
    let config = message.sds_config.as_ref();
    match config.and_then(|config| config.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => {}
        None if config.is_none() => {}
        Some(ConfigSourceSpecifier::ApiConfigSource(agent)) => {
            return instance(agent, registry, &path.field("sds_config").field("api_config_source"));
        }
        #[expect(deprecated, reason = "named, to be refused")]
        Some(ConfigSourceSpecifier::PathConfigSource(_) | ConfigSourceSpecifier::Path(_))
        | None => {
            return Err(path.field("sds_config").reject("must be ads or self"));
        }
    }
    if !registry.has_secrets() {
        return Err(path.reject("is not supported"));
    }
    let name = ResourceName::parse(ResourceType::Secret, &message.name)
        .map_err(|why| path.field("name").reject(why))?;
    if name.is_wildcard() {
        return Err(path.field("name").reject("is no name of a secret"));
    }
    Ok(Provider::Secret(name.as_str().into()))
}

/// The certificate provider that stands for `agent`.
fn instance(
    agent: &ApiConfigSource,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Provider, Reject> {
    if ApiType::try_from(agent.api_type) != Ok(ApiType::Grpc) {
        return Err(path.field("api_type").reject("is not GRPC"));
    }
    let [service] = &agent.grpc_services[..] else {
        return Err(path.field("grpc_services").reject("must be exactly one"));
    };
    let path = path.element("grpc_services", 0);
    let Some(TargetSpecifier::EnvoyGrpc(service)) = &service.target_specifier else {
        return Err(path.reject("must be envoy_grpc"));
    };
    let (name, path) = (&service.cluster_name, path.field("envoy_grpc.cluster_name"));
    if name.is_empty() || !registry.has_certificate_provider(name) {
        let why = format_args!("{name:?} is no certificate provider of the bootstrap");
        return Err(path.reject(why));
    }
    Ok(Provider::Instance(Arc::from(&**name)))
}
