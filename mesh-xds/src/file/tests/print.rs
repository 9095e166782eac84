use std::path::Path;

use envoy_types::pb::{
    envoy::config::{
        cluster::v3::Cluster,
        core::v3::{TransportSocket, transport_socket},
    },
    google::protobuf::Any,
};
use prost::Message;

use crate::file::{
    parse,
    print::{PrintError, Secrets, json, yaml},
};

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

const TEXT: &str = r#"'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
transport_socket:
  name: tls
  typed_config:
    '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    common_tls_context:
      tls_certificates:
      - certificate_chain:
          filename: chain.pem
        private_key:
          filename: key.pem
    sni: 'true'
name: a
type: EDS
connect_timeout: 0.250s
circuit_breakers:
  thresholds:
  - max_connections: 0
    retry_budget:
      budget_percent:
        value: 12.5
metadata:
  filter_metadata:
    x:
      deep:
      - 1.0
      - a: null
    y:
      empty: ''
"#;

#[test]
fn printed_resources_read_back_the_same() {
    let before = parse(TEXT, Path::new("a.yaml")).unwrap();
    let printed = yaml(CLUSTER, &before[0].value, Secrets::Show).unwrap();
    let after = parse(&printed, Path::new("a.yaml")).unwrap();
    let decoded = |value: &[u8]| Cluster::decode(value).unwrap();
    assert_eq!(decoded(&after[0].value), decoded(&before[0].value));
    for line in printed.lines() {
        assert!(TEXT.contains(line), "{line}");
    }

    let printed = json(CLUSTER, &before[0].value, Secrets::Show).unwrap();
    let after = parse(&printed, Path::new("a.json")).unwrap();
    assert_eq!(decoded(&after[0].value), decoded(&before[0].value));
}

#[test]
fn secrets_are_redacted_on_demand() {
    let resources = parse(TEXT, Path::new("a.yaml")).unwrap();
    let printed = yaml(CLUSTER, &resources[0].value, Secrets::Redact).unwrap();
    assert!(printed.contains("private_key: '[redacted]'"), "{printed}");
    assert!(!printed.contains("key.pem") && printed.contains("chain.pem"), "{printed}");
}

#[test]
fn unknown_extensions_do_not_stop_a_dump() {
    let typed_config = Any { type_url: "my.own/Type".to_owned(), value: vec![0, 255] };
    let cluster = Cluster {
        name: "a".to_owned(),
        transport_socket: Some(TransportSocket {
            name: "own".to_owned(),
            config_type: Some(transport_socket::ConfigType::TypedConfig(typed_config)),
        }),
        ..Cluster::default()
    };
    assert_eq!(
        json(CLUSTER, &cluster.encode_to_vec(), Secrets::Redact).unwrap(),
        r#"{
  "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  "name": "a",
  "transport_socket": {
    "name": "own",
    "typed_config": {
      "@type": "my.own/Type",
      "value": "AP8="
    }
  }
}"#
    );
}

#[test]
fn messages_nested_in_any_without_end_are_printed() {
    let nested = |inner: Any| {
        let type_url = "type.googleapis.com/google.protobuf.Any".to_owned();
        Any { type_url, value: inner.encode_to_vec() }
    };
    let any = (0..2_000).fold(Any::default(), |inner, _| nested(inner));
    let cluster = Cluster {
        transport_socket: Some(TransportSocket {
            name: String::new(),
            config_type: Some(transport_socket::ConfigType::TypedConfig(any)),
        }),
        ..Cluster::default()
    };
    let printed = json(CLUSTER, &cluster.encode_to_vec(), Secrets::Show).unwrap();
    assert!(printed.matches("@type").count() < 100);
}

#[test]
fn what_is_no_resource_is_an_error() {
    assert_eq!(yaml("a/b", &[], Secrets::Show), Err(PrintError::UnknownType("a/b".to_owned())));
    let error = yaml(CLUSTER, &[0xff], Secrets::Show).unwrap_err();
    assert!(
        error.to_string().starts_with("not a valid envoy.config.cluster.v3.Cluster: "),
        "{error}"
    );
}
