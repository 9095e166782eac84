//! Secrets by name: from the same management server, or from an agent that is a provider.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::{
    AggregatedConfigSource, ApiConfigSource, ConfigSource, GrpcService, PathConfigSource,
    SelfConfigSource, api_config_source::ApiType,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use mesh_core::cluster::Transport;
use mesh_core::identity::{
    Authorities, ClientRules, ClientTls, Clients, Material, Provider, ServerTls,
};
use pb::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};

use super::{COMMON, client, instance, server, tls};
use crate::parse::secret::SecretReader;
use crate::parse::{Path, Registry, Reject};

/// Stands for one that can read secrets.
#[derive(Debug)]
struct Reader;

impl SecretReader for Reader {
    fn read(&self, _: &[u8]) -> Result<Material, Reject> {
        Err(Path::root().reject("no secret is read here"))
    }
}

fn registry() -> Registry {
    let names = ["default".into(), "roots".into(), "sds-grpc".into()];
    Registry::default().certificate_providers(names).secrets(Arc::new(Reader))
}

fn secret(name: &str, source: Option<ConfigSourceSpecifier>) -> pb::SdsSecretConfig {
    let config = |specifier| ConfigSource {
        config_source_specifier: Some(specifier),
        ..ConfigSource::default()
    };
    pb::SdsSecretConfig { name: name.into(), sds_config: source.map(config) }
}

fn ads() -> Option<ConfigSourceSpecifier> {
    Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource::default()))
}

/// Istio's agent.
fn agent(cluster: &str) -> ApiConfigSource {
    let service = EnvoyGrpc { cluster_name: cluster.into(), ..EnvoyGrpc::default() };
    let target_specifier = Some(TargetSpecifier::EnvoyGrpc(service));
    ApiConfigSource {
        api_type: ApiType::Grpc.into(),
        grpc_services: vec![GrpcService { target_specifier, ..GrpcService::default() }],
        ..ApiConfigSource::default()
    }
}

/// A common part whose identity is the first secret and whose authorities are the second.
fn common(own: pb::SdsSecretConfig, roots: pb::SdsSecretConfig) -> pb::CommonTlsContext {
    pb::CommonTlsContext {
        tls_certificate_sds_secret_configs: vec![own],
        validation_context_type: Some(ValidationContextType::ValidationContextSdsSecretConfig(
            roots,
        )),
        ..Default::default()
    }
}

fn upstream(common: pb::CommonTlsContext, registry: &Registry) -> Result<ClientTls, Reject> {
    let message = pb::UpstreamTlsContext { common_tls_context: Some(common), ..client() };
    let Transport::Tls(tls) = super::super::upstream(&tls(&message), registry, &Path::root())?
    else {
        panic!("it is plain text")
    };
    Ok((*tls).clone())
}

fn downstream(common: pb::CommonTlsContext) -> Result<ServerTls, Reject> {
    let message = pb::DownstreamTlsContext { common_tls_context: Some(common), ..server() };
    super::super::downstream(&tls(&message), &registry(), &Path::root()).map(Option::unwrap)
}

#[test]
fn secrets_come_from_where_the_resource_does() {
    let own = Provider::Secret("default".into());
    let roots = Provider::Secret("ROOTCA".into());
    let itself = Some(ConfigSourceSpecifier::Self_(SelfConfigSource::default()));
    for source in [ads(), itself, None] {
        let message =
            || common(secret("default", source.clone()), secret("ROOTCA", source.clone()));
        let tls = upstream(message(), &registry()).unwrap();
        assert_eq!(tls.identity, Some(own.clone()));
        assert_eq!(tls.authorities, Authorities::Provider(roots.clone()));
        assert_eq!(tls.secrets().map(|name| &**name).collect::<Vec<_>>(), ["default", "ROOTCA"]);
        let tls = downstream(message()).unwrap();
        let rules = ClientRules { authorities: roots.clone(), accepted: Box::default() };
        assert_eq!((&tls.identity, &tls.clients), (&own, &Clients::Required(rules)));
        assert_eq!(tls.secrets().map(|name| &**name).collect::<Vec<_>>(), ["default", "ROOTCA"]);
    }
}

#[test]
fn a_combined_context_says_whom_the_authorities_of_a_secret_vouch_for() {
    use crate::parse::tls::tests::{MatchPattern, string};
    let combined = |default| {
        let combined = CombinedCertificateValidationContext {
            default_validation_context: default,
            validation_context_sds_secret_config: Some(secret("ROOTCA", ads())),
            ..Default::default()
        };
        let kind = ValidationContextType::CombinedValidationContext(combined);
        let validation_context_type = Some(kind);
        let part = common(secret("default", ads()), secret("", None));
        upstream(pb::CommonTlsContext { validation_context_type, ..part }, &registry())
    };
    #[expect(deprecated, reason = "Istio sends it")]
    let names = pb::CertificateValidationContext {
        match_subject_alt_names: vec![string(MatchPattern::Exact("spiffe://td/w".into()))],
        ..Default::default()
    };
    let tls = combined(Some(names)).unwrap();
    assert_eq!(tls.authorities, Authorities::Provider(Provider::Secret("ROOTCA".into())));
    assert_eq!(tls.accepted.len(), 1);
    assert_eq!(combined(None).unwrap().accepted.len(), 0);
    let default = "combined_validation_context.default_validation_context";
    let sds = "combined_validation_context.validation_context_sds_secret_config";
    let two = pb::CertificateValidationContext {
        ca_certificate_provider_instance: instance("roots"),
        ..Default::default()
    };
    let system = pb::CertificateValidationContext {
        system_root_certs: Some(Default::default()),
        ..Default::default()
    };
    let narrowed = pb::CertificateValidationContext {
        verify_certificate_hash: vec!["aa".into()],
        ..Default::default()
    };
    for (context, path) in [
        (two, sds.to_owned()),
        (system, format!("{default}.system_root_certs")),
        (narrowed, format!("{default}.verify_certificate_hash")),
    ] {
        let refused = combined(Some(context)).unwrap_err();
        assert_eq!(*refused.path, format!("typed_config.{COMMON}.{path}"));
    }
}

#[test]
fn an_agent_is_the_certificate_provider_of_its_name() {
    let source = |cluster| Some(ConfigSourceSpecifier::ApiConfigSource(agent(cluster)));
    let known = common(secret("default", source("sds-grpc")), secret("ROOTCA", source("sds-grpc")));
    let tls = upstream(known, &registry()).unwrap();
    assert_eq!(tls.identity, Some("sds-grpc".into()));
    assert_eq!(tls.authorities, Authorities::Provider("sds-grpc".into()));
    assert_eq!(tls.secrets().count(), 0);
    let own = format!("typed_config.{COMMON}.tls_certificate_sds_secret_configs[0]");
    let api = format!("{own}.sds_config.api_config_source");
    let rest = ApiConfigSource { api_type: ApiType::Rest.into(), ..agent("sds-grpc") };
    let none = ApiConfigSource { grpc_services: Vec::new(), ..agent("sds-grpc") };
    let file = PathConfigSource { path: "/etc/secret.yaml".into(), ..Default::default() };
    let cases = [
        (source("other"), format!("{api}.grpc_services[0].envoy_grpc.cluster_name")),
        (source(""), format!("{api}.grpc_services[0].envoy_grpc.cluster_name")),
        (Some(ConfigSourceSpecifier::ApiConfigSource(rest)), format!("{api}.api_type")),
        (Some(ConfigSourceSpecifier::ApiConfigSource(none)), format!("{api}.grpc_services")),
        (Some(ConfigSourceSpecifier::PathConfigSource(file)), format!("{own}.sds_config")),
    ];
    for (source, path) in cases {
        let refused =
            upstream(common(secret("default", source), secret("ROOTCA", ads())), &registry());
        assert_eq!(*refused.unwrap_err().path, path);
    }
}

#[test]
fn what_is_no_secret_of_one_name_is_refused() {
    let own = format!("typed_config.{COMMON}.tls_certificate_sds_secret_configs");
    let refused = |message| upstream(message, &registry()).unwrap_err().path.to_string();
    for name in ["", "*", "xdstp://a/envoy.config.cluster.v3.Cluster/x"] {
        let message = common(secret(name, ads()), secret("ROOTCA", ads()));
        assert_eq!(refused(message), format!("{own}[0].name"), "{name}");
    }
    let mut two = common(secret("default", ads()), secret("ROOTCA", ads()));
    two.tls_certificate_sds_secret_configs.push(secret("other", ads()));
    assert_eq!(refused(two), own);
    let mut inline = common(secret("default", ads()), secret("ROOTCA", ads()));
    inline.tls_certificates.push(pb::TlsCertificate::default());
    assert_eq!(refused(inline), own);
    // Where nothing reads secrets, none is taken.
    let message = common(secret("default", ads()), secret("ROOTCA", ads()));
    let path = upstream(message, &Registry::default()).unwrap_err().path;
    assert_eq!(*path, format!("{own}[0]"));
}
