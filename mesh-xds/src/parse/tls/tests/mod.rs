//! The NACK matrix of gRFC A29, A82 and A101, one case for each field.

mod secrets;

use std::collections::HashMap;

use envoy_types::pb::envoy::config::cluster::v3::cluster::TransportSocketMatch;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{DataSource, TransportSocket, TypedExtensionConfig};
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::SystemRootCerts;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::google::protobuf::{BoolValue, Struct, UInt32Value, Value, value::Kind};
use mesh_core::cluster::{Address, Endpoint, Labels, Security, Transport};
use mesh_core::identity::{
    Authorities, ClientRules, ClientTls, Clients, SanKind, SanMatcher, ServerName, ServerTls,
};
use mesh_core::matcher;
use prost::{Message, Name};

use crate::fixtures::{any, cluster};
use crate::parse::{Path, Registry, Reject};

fn registry() -> Registry {
    Registry::default().certificate_providers(["default".into(), "roots".into()])
}

fn socket<M: Message + Name>(name: &str, message: &M) -> TransportSocket {
    let config = ConfigType::TypedConfig(any(&M::full_name(), message));
    TransportSocket { name: name.into(), config_type: Some(config) }
}

fn tls<M: Message + Name>(message: &M) -> TransportSocket {
    socket("envoy.transport_sockets.tls", message)
}

fn instance(name: &str) -> Option<pb::CertificateProviderPluginInstance> {
    let certificate_name = "ignored".into();
    Some(pb::CertificateProviderPluginInstance { instance_name: name.into(), certificate_name })
}

fn string(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

/// A validation context with the authorities of `roots`.
fn validation() -> pb::CertificateValidationContext {
    let ca_certificate_provider_instance = instance("roots");
    pb::CertificateValidationContext { ca_certificate_provider_instance, ..Default::default() }
}

fn common(validation: Option<pb::CertificateValidationContext>) -> pb::CommonTlsContext {
    pb::CommonTlsContext {
        tls_certificate_provider_instance: instance("default"),
        validation_context_type: validation.map(ValidationContextType::ValidationContext),
        ..Default::default()
    }
}

fn client() -> pb::UpstreamTlsContext {
    let common_tls_context = Some(common(Some(validation())));
    pb::UpstreamTlsContext { common_tls_context, ..Default::default() }
}

fn server() -> pb::DownstreamTlsContext {
    let common_tls_context = Some(common(Some(validation())));
    let require_client_certificate = Some(BoolValue { value: true });
    pb::DownstreamTlsContext {
        common_tls_context,
        require_client_certificate,
        ..Default::default()
    }
}

fn upstream(message: &pb::UpstreamTlsContext) -> Result<ClientTls, Reject> {
    let transport = super::upstream(&tls(message), &registry(), &Path::root())?;
    let Transport::Tls(tls) = transport else { panic!("{transport:?}") };
    Ok((*tls).clone())
}

fn downstream(message: &pb::DownstreamTlsContext) -> Result<ServerTls, Reject> {
    super::downstream(&tls(message), &registry(), &Path::root()).map(Option::unwrap)
}

/// A client's context with its common part changed.
fn with_common(change: impl FnOnce(&mut pb::CommonTlsContext)) -> pb::UpstreamTlsContext {
    let mut message = client();
    change(message.common_tls_context.as_mut().unwrap());
    message
}

/// A client's context with its validation context changed.
fn with_validation(
    change: impl FnOnce(&mut pb::CertificateValidationContext),
) -> pb::UpstreamTlsContext {
    let mut context = validation();
    change(&mut context);
    let context = ValidationContextType::ValidationContext(context);
    with_common(|common| common.validation_context_type = Some(context))
}

/// Where below `typed_config` the client's context `message` is refused.
fn refused(message: &pb::UpstreamTlsContext) -> String {
    let path = upstream(message).unwrap_err().path;
    path.strip_prefix("typed_config.").unwrap_or(&path).to_owned()
}

const COMMON: &str = "common_tls_context";
const VALIDATION: &str = "common_tls_context.validation_context";

#[test]
fn providers_and_names_are_taken_over() {
    let exact = matcher::StringMatcher::exact;
    let mut message = with_validation(|context| {
        #[expect(deprecated, reason = "control planes send it")]
        let names = &mut context.match_subject_alt_names;
        *names = vec![string(MatchPattern::Exact("spiffe://td/w".into()))];
    });
    message.sni = "outbound_.80_.v1_.a.svc".into();
    message.auto_host_sni = true;
    message.auto_sni_san_validation = true;
    let expect = ClientTls {
        identity: Some("default".into()),
        authorities: Authorities::Provider("roots".into()),
        accepted: Box::new([SanMatcher::any(exact("spiffe://td/w"))]),
        server_name: ServerName {
            fixed: Some("outbound_.80_.v1_.a.svc".into()),
            of_endpoint: true,
            must_match: true,
        },
    };
    assert_eq!(upstream(&message), Ok(expect));
    let bare = with_common(|common| common.tls_certificate_provider_instance = None);
    assert_eq!(upstream(&bare).unwrap().identity, None);
}

#[test]
fn typed_names_take_the_place_of_the_older_ones() {
    use pb::subject_alt_name_matcher::SanType;
    let typed = |kind: SanType| pb::SubjectAltNameMatcher {
        san_type: kind.into(),
        matcher: Some(string(MatchPattern::Suffix(".x".into()))),
        oid: String::new(),
    };
    let message = with_validation(|context| {
        context.match_typed_subject_alt_names =
            [SanType::Uri, SanType::Dns, SanType::Email, SanType::IpAddress].map(typed).into();
        #[expect(deprecated, reason = "control planes send it")]
        let older = &mut context.match_subject_alt_names;
        older.push(string(MatchPattern::Exact("older".into())));
    });
    let suffix = || matcher::StringMatcher::suffix(".x").unwrap();
    let expect = [SanKind::Uri, SanKind::Dns, SanKind::Email, SanKind::Ip];
    let expect = expect.map(|kind| SanMatcher::typed(kind, suffix()));
    assert_eq!(*upstream(&message).unwrap().accepted, expect);
    for kind in [SanType::Unspecified, SanType::OtherName] {
        let message = with_validation(|context| {
            context.match_typed_subject_alt_names = vec![typed(kind)];
        });
        let expect = format!("{VALIDATION}.match_typed_subject_alt_names[0].san_type");
        assert_eq!(refused(&message), expect);
    }
    let message = with_validation(|context| {
        context.match_typed_subject_alt_names =
            vec![pb::SubjectAltNameMatcher { matcher: None, ..typed(SanType::Uri) }];
    });
    assert_eq!(refused(&message), format!("{VALIDATION}.match_typed_subject_alt_names[0].matcher"));
    let message = with_validation(|context| {
        #[expect(deprecated, reason = "control planes send it")]
        let older = &mut context.match_subject_alt_names;
        older.push(string(MatchPattern::Prefix(String::new())));
    });
    assert_eq!(refused(&message), format!("{VALIDATION}.match_subject_alt_names[0].prefix"));
}

#[test]
fn the_common_part_is_refused_where_it_would_weaken() {
    let extension = || Some(TypedExtensionConfig::default());
    #[expect(deprecated, reason = "control planes send them")]
    let cases: Vec<(&str, pb::UpstreamTlsContext)> = vec![
        ("tls_params", with_common(|c| c.tls_params = Some(Default::default()))),
        ("custom_handshaker", with_common(|c| c.custom_handshaker = extension())),
        (
            "custom_tls_certificate_selector",
            with_common(|c| c.custom_tls_certificate_selector = extension()),
        ),
        (
            "tls_certificates",
            with_common(|c| {
                c.tls_certificate_provider_instance = None;
                c.tls_certificates = vec![Default::default()];
            }),
        ),
        (
            "tls_certificate_sds_secret_configs[0]",
            with_common(|c| {
                c.tls_certificate_provider_instance = None;
                c.tls_certificate_sds_secret_configs = vec![Default::default()];
            }),
        ),
        (
            "tls_certificate_certificate_provider_instance",
            with_common(|c| {
                c.tls_certificate_provider_instance = None;
                c.tls_certificate_certificate_provider_instance = Some(Default::default());
            }),
        ),
        (
            "tls_certificate_certificate_provider",
            with_common(|c| {
                c.tls_certificate_provider_instance = None;
                c.tls_certificate_certificate_provider = Some(Default::default());
            }),
        ),
        (
            "tls_certificate_provider_instance.instance_name",
            with_common(|c| c.tls_certificate_provider_instance = instance("")),
        ),
        (
            "tls_certificate_provider_instance.instance_name",
            with_common(|c| c.tls_certificate_provider_instance = instance("unknown")),
        ),
        ("validation_context", with_common(|c| c.validation_context_type = None)),
        (
            "validation_context_sds_secret_config",
            with_common(|c| {
                c.validation_context_type = Some(
                    ValidationContextType::ValidationContextSdsSecretConfig(Default::default()),
                );
            }),
        ),
        (
            "validation_context_certificate_provider_instance",
            with_common(|c| {
                c.validation_context_type =
                    Some(ValidationContextType::ValidationContextCertificateProviderInstance(
                        Default::default(),
                    ));
            }),
        ),
        (
            "combined_validation_context.default_validation_context",
            with_common(|c| {
                c.validation_context_type =
                    Some(ValidationContextType::CombinedValidationContext(Default::default()));
            }),
        ),
        (
            "combined_validation_context.validation_context_sds_secret_config",
            with_common(|c| {
                let combined = CombinedCertificateValidationContext {
                    default_validation_context: Some(validation()),
                    validation_context_sds_secret_config: Some(Default::default()),
                    ..Default::default()
                };
                c.validation_context_type =
                    Some(ValidationContextType::CombinedValidationContext(combined));
            }),
        ),
    ];
    for (path, message) in cases {
        assert_eq!(refused(&message), format!("{COMMON}.{path}"));
    }
    assert_eq!(refused(&pb::UpstreamTlsContext::default()), COMMON);
}

#[test]
fn checks_of_peers_that_are_not_made_are_refused() {
    for (path, message) in [
        (
            "ca_certificate_provider_instance",
            with_validation(|v| v.ca_certificate_provider_instance = None),
        ),
        (
            "ca_certificate_provider_instance.instance_name",
            with_validation(|v| v.ca_certificate_provider_instance = instance("unknown")),
        ),
        (
            "verify_certificate_spki",
            with_validation(|v| v.verify_certificate_spki.push("x".into())),
        ),
        (
            "verify_certificate_hash",
            with_validation(|v| v.verify_certificate_hash.push("x".into())),
        ),
        (
            "require_signed_certificate_timestamp",
            with_validation(|v| {
                v.require_signed_certificate_timestamp = Some(BoolValue { value: true });
            }),
        ),
        ("crl", with_validation(|v| v.crl = Some(DataSource::default()))),
        (
            "custom_validator_config",
            with_validation(|v| v.custom_validator_config = Some(Default::default())),
        ),
        (
            "max_verify_depth",
            with_validation(|v| v.max_verify_depth = Some(UInt32Value { value: 1 })),
        ),
    ] {
        assert_eq!(refused(&message), format!("{VALIDATION}.{path}"));
    }
}

#[test]
fn what_would_weaken_if_obeyed_is_ignored() {
    let message = with_validation(|context| {
        context.allow_expired_certificate = true;
        context.trust_chain_verification = 1;
        context.trusted_ca = Some(DataSource::default());
        context.watched_directory = Some(Default::default());
        context.only_verify_leaf_cert_crl = true;
        context.require_signed_certificate_timestamp = Some(BoolValue { value: false });
    });
    assert_eq!(upstream(&message), upstream(&client()));
    let mut message = with_common(|common| {
        common.alpn_protocols = vec!["x".into()];
        common.key_log = Some(Default::default());
    });
    message.allow_renegotiation = true;
    message.max_session_keys = Some(UInt32Value { value: 9 });
    assert_eq!(upstream(&message), upstream(&client()));
}

#[test]
fn istios_context_with_both_generations_of_fields_is_taken() {
    #[expect(deprecated, reason = "istiod sends both")]
    let message = with_common(|common| {
        common.tls_certificate_certificate_provider_instance = Some(Default::default());
        let combined = CombinedCertificateValidationContext {
            default_validation_context: Some(validation()),
            validation_context_certificate_provider_instance: Some(Default::default()),
            ..Default::default()
        };
        common.validation_context_type =
            Some(ValidationContextType::CombinedValidationContext(combined));
    });
    assert_eq!(upstream(&message), upstream(&client()));
}

#[test]
fn system_roots_vouch_only_for_names_that_are_asked_for() {
    let system = |change: &dyn Fn(&mut pb::CertificateValidationContext)| {
        with_validation(|context| {
            context.ca_certificate_provider_instance = None;
            context.system_root_certs = Some(SystemRootCerts {});
            change(context);
        })
    };
    let everybody = format!("{VALIDATION}.system_root_certs");
    assert_eq!(refused(&system(&|_| {})), everybody);
    let named = system(&|context| {
        #[expect(deprecated, reason = "control planes send it")]
        let names = &mut context.match_subject_alt_names;
        names.push(string(MatchPattern::Exact("a.example".into())));
    });
    assert_eq!(upstream(&named).unwrap().authorities, Authorities::System);
    let mut asked = system(&|_| {});
    asked.auto_sni_san_validation = true;
    assert_eq!(refused(&asked), everybody);
    asked.sni = "a.example".into();
    assert_eq!(upstream(&asked).unwrap().authorities, Authorities::System);
    // The provider comes first.
    let both = with_validation(|context| context.system_root_certs = Some(SystemRootCerts {}));
    assert_eq!(upstream(&both), upstream(&client()));
}

#[test]
fn a_name_to_ask_for_must_be_one() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{label}");
    for (sni, is_taken) in [
        (&*longest, true),
        (&format!("{longest}a"), false),
        ("a.example", true),
        ("outbound_.80_.v1_.a.b", true),
        ("10.0.0.1:80", false),
        ("a..b", false),
        ("a b", false),
        ("a\0b", false),
        ("\u{e4}", false),
    ] {
        let message = pb::UpstreamTlsContext { sni: sni.into(), ..client() };
        assert_eq!(upstream(&message).is_ok(), is_taken, "{sni}");
        if !is_taken {
            assert_eq!(refused(&message), "sni");
        }
    }
}

#[test]
fn sockets_of_other_kinds_are_refused() {
    let path = |socket: &TransportSocket| {
        super::upstream(socket, &registry(), &Path::root()).unwrap_err().path.to_string()
    };
    assert_eq!(path(&socket("envoy.transport_sockets.quic", &client())), "name");
    assert_eq!(path(&socket("tls", &client())), "name");
    assert_eq!(path(&tls(&server())), "typed_config");
    assert_eq!(path(&socket("envoy.transport_sockets.raw_buffer", &client())), "typed_config");
    let empty = TransportSocket { name: "envoy.transport_sockets.tls".into(), config_type: None };
    assert_eq!(path(&empty), "typed_config");
    let raw = socket("envoy.transport_sockets.raw_buffer", &RawBuffer {});
    assert_eq!(super::upstream(&raw, &registry(), &Path::root()), Ok(Transport::Plaintext));
}

#[test]
fn servers_ask_clients_for_what_they_can_check() {
    let rules = || ClientRules { authorities: "roots".into(), accepted: Box::default() };
    let of =
        |clients| Ok(ServerTls { identity: "default".into(), clients, protocols: Box::default() });
    assert_eq!(downstream(&server()), of(Clients::Required(rules())));
    let mut message = server();
    message.require_client_certificate = None;
    assert_eq!(downstream(&message), of(Clients::Optional(rules())));
    message.common_tls_context = Some(common(None));
    assert_eq!(downstream(&message), of(Clients::Anonymous));
    let raw = socket("envoy.transport_sockets.raw_buffer", &RawBuffer {});
    assert_eq!(super::downstream(&raw, &registry(), &Path::root()), Ok(None));
}

#[test]
fn servers_contexts_are_refused_where_they_would_weaken() {
    let changed = |change: &dyn Fn(&mut pb::DownstreamTlsContext)| {
        let mut message = server();
        change(&mut message);
        let path = downstream(&message).unwrap_err().path;
        path.strip_prefix("typed_config.").unwrap().to_owned()
    };
    assert_eq!(changed(&|m| m.require_sni = Some(BoolValue { value: true })), "require_sni");
    assert_eq!(changed(&|m| m.ocsp_staple_policy = 1), "ocsp_staple_policy");
    assert_eq!(changed(&|m| m.common_tls_context = None), COMMON);
    assert_eq!(
        changed(&|m| m.common_tls_context = Some(common(None))),
        "require_client_certificate"
    );
    let identity = format!("{COMMON}.tls_certificate_provider_instance");
    let without = |m: &mut pb::DownstreamTlsContext| {
        m.common_tls_context.as_mut().unwrap().tls_certificate_provider_instance = None;
    };
    assert_eq!(changed(&without), identity);
    let system = |m: &mut pb::DownstreamTlsContext| {
        let context = pb::CertificateValidationContext {
            system_root_certs: Some(SystemRootCerts {}),
            ..Default::default()
        };
        m.common_tls_context = Some(common(Some(context)));
    };
    assert_eq!(changed(&system), format!("{VALIDATION}.ca_certificate_provider_instance"));
}

#[test]
fn endpoints_with_labels_are_secured_by_the_first_match() {
    let wanted = |text: &str| {
        let value = Value { kind: Some(Kind::StringValue(text.into())) };
        Some(Struct { fields: HashMap::from([("tlsMode".to_owned(), value)]) })
    };
    let raw = || socket("envoy.transport_sockets.raw_buffer", &RawBuffer {});
    let entry = |name: &str, r#match, socket| TransportSocketMatch {
        name: name.into(),
        r#match,
        transport_socket: Some(socket),
    };
    let mut message = cluster("c", "e");
    message.transport_socket_matches =
        vec![entry("istio", wanted("istio"), tls(&client())), entry("off", None, raw())];
    let security = |message: &_| -> Result<Security, Reject> {
        super::security(message, &registry(), &Path::root())
    };
    let found = security(&message).unwrap();
    let labels = Some(std::sync::Arc::new(Labels::new([("tlsMode", "istio")])));
    let bare = Endpoint::new(Address::Unix("x".into()));
    let istio = Endpoint { labels, ..Endpoint::new(Address::Unix("x".into())) };
    assert!(matches!(found.transport(&istio), Transport::Tls(_)));
    assert_eq!(found.transport(&bare), &Transport::Plaintext);

    message.transport_socket_matches[1].transport_socket = None;
    let path = |message: &_| security(message).unwrap_err().path.to_string();
    assert_eq!(path(&message), "transport_socket_matches[1].transport_socket");
    let number = Value { kind: Some(Kind::NumberValue(1.0)) };
    let fields = HashMap::from([("tlsMode".to_owned(), number)]);
    message.transport_socket_matches[0].r#match = Some(Struct { fields });
    assert_eq!(path(&message), r#"transport_socket_matches[0].match.fields["tlsMode"]"#);
    message.transport_socket_matches.clear();
    message.transport_socket = Some(TransportSocket::default());
    assert_eq!(path(&message), "transport_socket.name");
    message.transport_socket = None;
    message.transport_socket_matcher = Some(Default::default());
    assert_eq!(path(&message), "transport_socket_matcher");
}
