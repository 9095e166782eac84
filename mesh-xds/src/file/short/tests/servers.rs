//! Servers: TLS, and who may do what.

use std::path::Path;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use prost::Message as _;

use crate::file::parse;

use super::text;

fn failure(document: &str) -> String {
    let document = format!("version: mesh/v1\n{document}");
    parse(&document, Path::new("mesh.yaml")).unwrap_err().to_string()
}

/// For each chain of the only server in `document`: what it matches, and whether it has TLS.
fn chains(document: &str) -> Vec<(String, bool)> {
    let document = format!("version: mesh/v1\n{document}");
    let resources = parse(&document, Path::new("mesh.yaml")).unwrap();
    let listener = resources.iter().find(|it| it.name.starts_with("server/")).unwrap();
    let listener = Listener::decode(&*listener.value).unwrap();
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    let chain = chains.map(|chain| {
        let matched = chain.filter_chain_match.as_ref();
        let matched = matched.map(|it| it.transport_protocol.clone()).unwrap_or_default();
        (matched, chain.transport_socket.is_some())
    });
    chain.collect()
}

#[test]
fn a_server_with_rules_is_a_listener_with_filters() {
    let document = "version: mesh/v1
roles: { reader: [{ methods: [GET], paths: /orders* }] }
bindings: { reader: ['cluster.local/ns/a/sa/b'] }
server:
  0.0.0.0:8080:
    tls: strict
    identity: mine
    deny: [{ paths: /admin }]
    allow: [{ from: 'spiffe://cluster.local/ns/a/sa/c', methods: [GET, POST] }]
    roles: [reader]
";
    let resources = parse(document, Path::new("mesh.yaml")).unwrap();
    assert_eq!(text(&resources, "Listener"), EXPANDED);
}

#[test]
fn tls_is_what_the_server_or_a_policy_says_if_that_is_stricter() {
    let policy = |mode: &str| {
        format!(
            "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: p }}\nspec: {{ mtls: {{ mode: {mode} }} }}"
        )
    };
    let server = |keys: &str| format!("server: {{ 127.0.0.1:80: {{ {keys} }} }}");
    let plain = vec![(String::new(), false)];
    let strict = vec![(String::new(), true)];
    let both = vec![("tls".to_owned(), true), ("raw_buffer".to_owned(), false)];
    for (keys, mode, expected) in [
        ("", None, &plain),
        ("tls: disable", None, &plain),
        ("tls: strict", None, &strict),
        ("tls: permissive", None, &both),
        ("", Some("STRICT"), &strict),
        ("tls: permissive", Some("STRICT"), &strict),
        ("tls: strict", Some("DISABLE"), &strict),
        ("", Some("PERMISSIVE"), &both),
        ("tls: permissive", Some("UNSET"), &both),
    ] {
        let document = server(keys) + &mode.map(policy).unwrap_or_default();
        assert_eq!(chains(&document), *expected, "{document}");
    }
    let ports = "workload: { labels: { app: web } }\nserver: { 127.0.0.1:80: {} }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: p }
spec:
  selector: { matchLabels: { app: web } }
  mtls: { mode: STRICT }
  portLevelMtls: { 80: { mode: PERMISSIVE } }
";
    assert_eq!(chains(ports), both);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        (
            "server: { 127.0.0.1:80: { tls: on } }",
            "mesh.yaml:2:32: server[\"127.0.0.1:80\"].tls: expected one of strict, permissive, disable, got the string `on`",
        ),
        (
            "server: { 127.0.0.1:80: { alow: [] } }",
            "mesh.yaml:2:27: server[\"127.0.0.1:80\"]: unrecognized field `alow` (did you mean `allow`?)",
        ),
        (
            "server: { 127.0.0.1:80: { allow: [{ method: GET }] } }",
            "mesh.yaml:2:37: server[\"127.0.0.1:80\"].allow[0]: unrecognized field `method` (did you mean `methods`?)",
        ),
        (
            "server: { 127.0.0.1:80: { allow: [{ from: [] }] } }",
            "mesh.yaml:2:43: server[\"127.0.0.1:80\"].allow[0].from: is empty, which asks for nothing: leave it out",
        ),
        (
            "roles: { reader: [{}] }\nserver: { 127.0.0.1:80: { roles: [raeder] } }",
            "mesh.yaml:3:35: server[\"127.0.0.1:80\"].roles[0]: unrecognized value `raeder` (did you mean `reader`?)",
        ),
        (
            "roles: { reader: [{}] }\nserver: { 127.0.0.1:80: { roles: [reader] } }",
            "mesh.yaml:3:35: server[\"127.0.0.1:80\"].roles[0]: nobody has this role: `bindings` says who",
        ),
        (
            "roles: { reader: [{}] }\nbindings: { writer: ['*'] }",
            "mesh.yaml:3:13: bindings.writer: unrecognized value `writer`",
        ),
        (
            "tenants: { identity: ['spiffe://td/ns/*'] }",
            "mesh.yaml:2:23: tenants.identity[0]: `{tenant}` must stand there once, not 0 times",
        ),
        (
            "tenants: { header: { name: x-tenant, from: ['*'] } }",
            "mesh.yaml:2:20: tenants.header: say which SPIFFE IDs are trusted with the header field",
        ),
        (
            "tenants: { required: false }",
            "mesh.yaml:2:10: tenants: needs `identity`, `claim` or `header`",
        ),
        (
            "tenants: { claims: a }",
            "mesh.yaml:2:12: tenants: unrecognized field `claims` (did you mean `claim`?)",
        ),
        (
            "workload: { label: {} }",
            "mesh.yaml:2:13: workload: unrecognized field `label` (did you mean `labels`?)",
        ),
        (
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { portLevelMtls: { 80: { mode: STRICT } } }",
            "mesh.yaml:6:9: spec.portLevelMtls: needs a `selector` with labels, as in Istio",
        ),
        (
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { mtls: { mode: STRIKT } }",
            "mesh.yaml:6:23: spec.mtls.mode: unrecognized value `STRIKT` (did you mean `STRICT`?)",
        ),
    ];
    let wrong = cases.iter().map(|(document, expected)| (failure(document), *expected));
    let wrong: Vec<_> = wrong.filter(|(said, expected)| said != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const EXPANDED: &str = "name: server/0.0.0.0:8080
address:
  socket_address:
    address: 0.0.0.0
    port_value: 8080
default_filter_chain:
  filters:
  - name: manager
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      route_config:
        name: server/0.0.0.0:8080
        virtual_hosts:
        - name: server/0.0.0.0:8080
          domains:
          - '*'
          routes:
          - match:
              prefix: ''
            non_forwarding_action: {}
      http_filters:
      - name: deny
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
          rules:
            action: DENY
            policies:
              deny[0]:
                permissions:
                - url_path:
                    path:
                      exact: /admin
                principals:
                - any: true
      - name: allow
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
          rules:
            policies:
              allow[0]:
                permissions:
                - or_rules:
                    rules:
                    - header:
                        name: :method
                        string_match:
                          exact: GET
                    - header:
                        name: :method
                        string_match:
                          exact: POST
                principals:
                - authenticated:
                    principal_name:
                      exact: spiffe://cluster.local/ns/a/sa/c
              role[reader]:
                permissions:
                - and_rules:
                    rules:
                    - header:
                        name: :method
                        string_match:
                          exact: GET
                    - url_path:
                        path:
                          prefix: /orders
                principals:
                - authenticated:
                    principal_name:
                      exact: spiffe://cluster.local/ns/a/sa/b
      - name: router
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
      http2_protocol_options: {}
      normalize_path: true
      merge_slashes: true
      common_http_protocol_options: {}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      common_tls_context:
        validation_context:
          ca_certificate_provider_instance:
            instance_name: mine
        tls_certificate_provider_instance:
          instance_name: mine
      require_client_certificate: true
";

#[test]
fn services_are_reached_by_tls_where_an_identity_is_named() {
    let document = "version: mesh/v1
defaults: { identity: mine, peers: [spiffe://td/a, spiffe://td/b] }
services:
  one: { versions: { v1: 127.0.0.1:1 } }
  two: { identity: other, peers: spiffe://td/c, versions: { v1: 127.0.0.1:2 } }
";
    let resources = parse(document, Path::new("mesh.yaml")).unwrap();
    assert_eq!(
        ["one", "two"].map(|name| {
            let cluster = resources.iter().find(|it| it.name == format!("{name}/v1")).unwrap();
            let cluster = Cluster::decode(&*cluster.value).unwrap();
            let Some(ConfigType::TypedConfig(context)) =
                cluster.transport_socket.unwrap().config_type
            else {
                panic!("it is configured")
            };
            let context = UpstreamTlsContext::decode(&*context.value).unwrap();
            let common = context.common_tls_context.unwrap();
            let provider = common.tls_certificate_provider_instance.unwrap().instance_name;
            let Some(ValidationContextType::ValidationContext(validation)) =
                common.validation_context_type
            else {
                panic!("endpoints are checked")
            };
            let authorities = validation.ca_certificate_provider_instance.unwrap().instance_name;
            assert_eq!(provider, authorities);
            (provider, validation.match_typed_subject_alt_names.len())
        }),
        [("mine".to_owned(), 2), ("other".to_owned(), 1)]
    );
    let plain = "services: { one: { peers: spiffe://td/a, versions: { v1: 127.0.0.1:1 } } }";
    assert!(failure(plain).contains("peers: only with `identity`"));
    let wrong = "services: { one: { identity: i, peers: [td/a], versions: { v1: 127.0.0.1:1 } } }";
    assert!(failure(wrong).contains("a SPIFFE ID such as"));
}
