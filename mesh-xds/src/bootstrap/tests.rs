use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf::value::Kind;
use serde_json::{Value, json};

use mesh_core::cluster::Address;

use super::*;
use crate::name::ResourceType;

fn server(uri: &str) -> Value {
    json!({"server_uri": uri, "channel_creds": [{"type": "insecure"}]})
}

fn parse(json: &Value) -> Result<Bootstrap, BootstrapError> {
    Bootstrap::from_json(&json.to_string())
}

/// A bootstrap with one server and the members of `more`.
fn with(more: Value) -> Result<Bootstrap, BootstrapError> {
    let mut json = json!({"xds_servers": [server("xds:1")]});
    let Value::Object(more) = more else { panic!("not an object") };
    json.as_object_mut().unwrap().extend(more);
    parse(&json)
}

fn with_server(more: Value) -> Result<Server, BootstrapError> {
    let mut json = server("xds:1");
    let Value::Object(more) = more else { panic!("not an object") };
    json.as_object_mut().unwrap().extend(more);
    Ok(parse(&json!({"xds_servers": [json]}))?.servers.remove(0))
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(result: Result<T, BootstrapError>, expect: &str) {
    assert_eq!(result.unwrap_err().to_string(), expect);
}

#[test]
fn istio_style_bootstrap_is_understood() {
    let bootstrap = Bootstrap::from_json(
        r#"{
          "xds_servers": [{
            "server_uri": "unix:///etc/istio/proxy/XDS",
            "channel_creds": [{"type": "insecure"}],
            "server_features": ["xds_v3"]
          }],
          "node": {
            "id": "sidecar~10.0.0.1~a.b~b.svc.cluster.local",
            "metadata": {"GENERATOR": "grpc", "PORTS": [80, {"x": null}], "TLS": true}
          },
          "certificate_providers": {
            "default": {"plugin_name": "file_watcher", "config": {
              "certificate_file": "/var/lib/istio/data/cert-chain.pem",
              "private_key_file": "/var/lib/istio/data/key.pem",
              "ca_certificate_file": "/var/lib/istio/data/root-cert.pem",
              "refresh_interval": "900s"
            }}
          },
          "server_listener_resource_name_template": "xds.istio.io/grpc/lds/inbound/%s"
        }"#,
    )
    .unwrap();
    assert_eq!(
        bootstrap.servers[0].uri.unix_path(),
        Some(std::path::Path::new("/etc/istio/proxy/XDS"))
    );
    assert_eq!(bootstrap.servers[0].features, ServerFeatures::default());
    assert_eq!(
        bootstrap.certificate_providers["default"],
        CertificateProvider::FileWatcher(Files {
            identity: Some(Identity {
                certificate: "/var/lib/istio/data/cert-chain.pem".into(),
                private_key: "/var/lib/istio/data/key.pem".into(),
            }),
            ca_certificate: Some("/var/lib/istio/data/root-cert.pem".into()),
            spiffe_trust_bundle_map: None,
            crl: None,
            refresh_interval: Duration::from_secs(900),
        })
    );
    let listener = bootstrap.server_listener_name(&address("0.0.0.0:8080")).unwrap();
    assert_eq!(listener.as_str(), "xds.istio.io/grpc/lds/inbound/0.0.0.0:8080");
}

#[test]
fn servers_keep_their_order() {
    let bootstrap = parse(&json!({"xds_servers": [server("one:1"), server("two:2")]})).unwrap();
    let hosts: Vec<_> = bootstrap.servers.iter().filter_map(|server| server.uri.host()).collect();
    assert_eq!(hosts, [("one", 1), ("two", 2)]);
}

#[test]
fn unknown_fields_and_features_are_ignored() {
    let bootstrap = parse(&json!({
        "surprise": {"a": 1},
        "xds_servers": [{
            "server_uri": "xds:1", "channel_creds": [{"type": "insecure", "more": 1}], "also": [],
            "server_features": ["xds_v3", "from_the_future", "fail_on_data_errors", "delta"],
        }],
        "certificate_providers": {"other": {"plugin_name": "meshca", "config": 7}},
        "node": null,
    }))
    .unwrap();
    let features =
        ServerFeatures { fail_on_data_errors: true, delta: true, ..ServerFeatures::default() };
    assert_eq!(bootstrap.servers[0].features, features);
    assert!(bootstrap.certificate_providers.is_empty());
    assert_eq!(bootstrap.node, Node::default());
}

#[test]
fn syntax_errors_have_line_and_column() {
    rejected(
        Bootstrap::from_json("{\n  \"xds_servers\": [,]\n}"),
        "bootstrap is not JSON: expected value at line 2 column 19",
    );
    rejected(
        Bootstrap::from_json(""),
        "bootstrap is not JSON: EOF while parsing a value at line 1 column 0",
    );
    let deep = "[".repeat(100_000);
    assert!(matches!(Bootstrap::from_json(&deep), Err(BootstrapError::Syntax { .. })));
}

#[test]
fn servers_are_required() {
    rejected(parse(&json!([])), "bootstrap: expected an object");
    rejected(parse(&json!({})), "xds_servers: missing");
    rejected(parse(&json!({"xds_servers": []})), "xds_servers: empty");
    rejected(parse(&json!({"xds_servers": {}})), "xds_servers: expected an array");
    rejected(parse(&json!({"xds_servers": [1]})), "xds_servers[0]: expected an object");
    rejected(parse(&json!({"xds_servers": [{}]})), "xds_servers[0].server_uri: missing");
    rejected(
        parse(&json!({"xds_servers": [server("a:1"), server("")]})),
        "xds_servers[1].server_uri: empty",
    );
    rejected(
        parse(&json!({"xds_servers": [server("a:x")]})),
        "xds_servers[0].server_uri: port is not a number from 1 to 65535",
    );
}

#[test]
fn first_supported_credentials_are_used() {
    let credentials = |list| with_server(json!({"channel_creds": list}));
    let of = |list| credentials(list).unwrap().channel_credentials;
    let tls = ChannelCredentials::Tls(Files::default());
    assert_eq!(of(json!([{"type": "alts"}, {"type": "insecure"}, {"type": "tls"}])), {
        ChannelCredentials::Insecure
    });
    assert_eq!(of(json!([{"type": "google_default"}, {"type": "insecure"}])), tls);
    assert_eq!(of(json!([{"type": "tls"}])), tls);
    assert_eq!(of(json!([{"type": "tls", "config": {}}])), tls);
    let files = json!({"ca_certificate_file": "/ca", "refresh_interval": "1.5s",
                       "spiffe_trust_bundle_map_file": "/map"});
    assert_eq!(
        of(json!([{"type": "tls", "config": files}])),
        ChannelCredentials::Tls(Files {
            identity: None,
            ca_certificate: Some(PathBuf::from("/ca")),
            spiffe_trust_bundle_map: Some(PathBuf::from("/map")),
            crl: None,
            refresh_interval: Duration::from_millis(1_500),
        })
    );
    rejected(credentials(json!([])), "xds_servers[0].channel_creds: empty");
    rejected(
        credentials(json!([{"type": "alts"}])),
        "xds_servers[0].channel_creds: none of the types is supported \
         (insecure, tls, google_default)",
    );
    rejected(credentials(json!([{}])), "xds_servers[0].channel_creds[0].type: missing");
    rejected(
        credentials(json!([{"type": "tls", "config": {"certificate_file": "/c"}}])),
        "xds_servers[0].channel_creds[0].config: certificate_file and private_key_file must both \
         be set or both be absent",
    );
    rejected(
        credentials(json!([{"type": "tls", "config": {"refresh_interval": "soon"}}])),
        "xds_servers[0].channel_creds[0].config.refresh_interval: expected a duration above zero \
         such as \"600s\"",
    );
}

#[test]
fn credentials_may_not_contradict_the_scheme() {
    let kind = |uri, kind: &str| {
        with_server(json!({"server_uri": uri, "channel_creds": [{"type": kind}]}))
    };
    assert!(kind("https://xds", "tls").is_ok());
    assert!(kind("http://xds", "insecure").is_ok());
    let expect = "xds_servers[0].channel_creds[0].type: contradicts the scheme of server_uri";
    rejected(kind("https://xds", "insecure"), expect);
    rejected(kind("http://xds", "google_default"), expect);
}

#[test]
fn call_credentials_are_all_used() {
    let credentials = |list| with_server(json!({"call_creds": list}));
    let server = credentials(json!([
        {"type": "from_the_future", "config": 1},
        {"type": "jwt_token_file", "config": {"jwt_token_file": "/a"}},
        {"type": "jwt_token_file", "config": {"jwt_token_file": "/b"}},
    ]));
    assert_eq!(
        server.unwrap().call_credentials,
        ["/a", "/b"].map(|path| CallCredentials::JwtTokenFile(path.into()))
    );
    let path = "xds_servers[0].call_creds[0].config";
    rejected(credentials(json!([{"type": "jwt_token_file"}])), &format!("{path}: missing"));
    rejected(
        credentials(json!([{"type": "jwt_token_file", "config": {}}])),
        &format!("{path}.jwt_token_file: missing"),
    );
    rejected(
        credentials(json!([{"type": "jwt_token_file", "config": {"jwt_token_file": ""}}])),
        &format!("{path}.jwt_token_file: empty"),
    );
}

#[test]
fn file_watcher_must_watch_something() {
    let watcher = |config| {
        with(json!({
            "certificate_providers": {"a": {"plugin_name": "file_watcher", "config": config}}
        }))
    };
    assert!(watcher(json!({"ca_certificate_file": "/ca"})).is_ok());
    let path = "certificate_providers.a.config";
    rejected(
        watcher(json!({"refresh_interval": "10s"})),
        &format!("{path}: names neither a certificate nor certificate authorities"),
    );
    rejected(
        watcher(json!({"private_key_file": "/k", "ca_certificate_file": "/ca"})),
        &format!(
            "{path}: certificate_file and private_key_file must both be set or both be absent"
        ),
    );
    rejected(
        watcher(json!({"ca_certificate_file": 1})),
        &format!("{path}.ca_certificate_file: expected a string"),
    );
    rejected(
        with(json!({"certificate_providers": {"a": {}}})),
        "certificate_providers.a.plugin_name: missing",
    );
}

#[test]
fn node_becomes_the_message() {
    let bootstrap = with(json!({"node": {
        "id": "i", "cluster": "c",
        "locality": {"region": "r", "zone": "z", "sub_zone": "s"},
        "metadata": {"list": [1.5, null, {"deep": "x"}], "flag": false},
    }}))
    .unwrap();
    let node = bootstrap.node.to_proto(ClientFeature::ADS);
    assert_eq!((node.id.as_str(), node.cluster.as_str()), ("i", "c"));
    let locality = node.locality.unwrap();
    assert_eq!((locality.region, locality.zone, locality.sub_zone), {
        ("r".to_owned(), "z".to_owned(), "s".to_owned())
    });
    assert_eq!(node.user_agent_name, "mesh");
    assert_eq!(
        node.user_agent_version_type,
        Some(core::node::UserAgentVersionType::UserAgentVersion(
            env!("CARGO_PKG_VERSION").to_owned()
        ))
    );
    assert_eq!(
        node.client_features,
        ["envoy.lb.does_not_support_overprovisioning", "xds.config.resource-in-sotw"]
    );
    let fields = node.metadata.unwrap().fields;
    assert_eq!(fields["flag"].kind, Some(Kind::BoolValue(false)));
    let Some(Kind::ListValue(list)) = &fields["list"].kind else { panic!("{fields:?}") };
    assert_eq!(list.values[0].kind, Some(Kind::NumberValue(1.5)));
    assert_eq!(list.values[1].kind, Some(Kind::NullValue(0)));
    let Some(Kind::StructValue(deep)) = &list.values[2].kind else { panic!("{list:?}") };
    assert_eq!(deep.fields["deep"].kind, Some(Kind::StringValue("x".to_owned())));
    assert_eq!(Node::default().to_proto(&[]).metadata, None);
    rejected(with(json!({"node": {"id": 1}})), "node.id: expected a string");
    rejected(with(json!({"node": {"metadata": []}})), "node.metadata: expected an object");
}

#[test]
fn targets_become_listener_names() {
    let plain = with(json!({})).unwrap();
    let federated = with(json!({
        "client_default_listener_resource_name_template":
            "xdstp://xds.example/envoy.config.listener.v3.Listener/%s?b=1&a=2",
        "authorities": {
            "xds.example": {},
            "other": {"client_listener_resource_name_template":
                "xdstp://other/envoy.config.listener.v3.Listener/client/%s/%s"},
        },
    }))
    .unwrap();
    for (bootstrap, target, name, authority) in [
        (&plain, "xds:///greeter", "greeter", "greeter"),
        (&plain, "xds:greeter", "greeter", "greeter"),
        (&plain, "xds:/greeter", "greeter", "greeter"),
        (&plain, "xds:///a/b:80", "a/b:80", "a%2Fb:80"),
        (&plain, "xds:///a%20b", "a b", "a%20b"),
        (
            &federated,
            "xds:///a b/c",
            "xdstp://xds.example/envoy.config.listener.v3.Listener/a%20b/c?a=2&b=1",
            "a%20b%2Fc",
        ),
        (
            &federated,
            "xds://xds.example/greeter",
            "xdstp://xds.example/envoy.config.listener.v3.Listener/greeter",
            "greeter",
        ),
        (
            &federated,
            "xds://other/g",
            "xdstp://other/envoy.config.listener.v3.Listener/client/g/g",
            "g",
        ),
    ] {
        let found = bootstrap.listener_name(target).unwrap();
        assert_eq!(found.resource.as_str(), name, "{target}");
        assert_eq!(found.data_plane_authority, authority, "{target}");
    }
}

#[test]
fn bad_targets_say_why() {
    let bootstrap = with(json!({
        "client_default_listener_resource_name_template":
            "xdstp://gone/envoy.config.listener.v3.Listener/%s",
    }))
    .unwrap();
    for (target, expect) in [
        ("dns:///a", TargetError::Scheme),
        ("xds:", TargetError::Empty),
        ("xds:///", TargetError::Empty),
        ("xds://auth", TargetError::Empty),
        ("xds:///a?b", TargetError::Query),
        ("xds:///a#b", TargetError::Query),
        ("xds:///a%2", TargetError::Escape),
        ("xds:///a", TargetError::UnknownAuthority("gone".to_owned())),
        ("xds://nobody/a", TargetError::UnknownAuthority("nobody".to_owned())),
    ] {
        assert_eq!(bootstrap.listener_name(target), Err(expect), "{target}");
    }
    let missing = bootstrap.server_listener_name(&address("[::]:8080"));
    assert_eq!(missing, Err(TargetError::NoServerTemplate));
    let wrong =
        with(json!({"client_default_listener_resource_name_template": "xdstp:%s"})).unwrap();
    assert_eq!(wrong.listener_name("xds:///a"), {
        let (name, source) = ("xdstp:a".to_owned(), crate::name::NameError::NoAuthority);
        Err(TargetError::Name { name, source })
    });
}

#[test]
fn server_addresses_become_listener_names() {
    let bootstrap = |template: &str| {
        with(json!({
            "server_listener_resource_name_template": template,
            "authorities": {"": {}},
        }))
        .unwrap()
    };
    let name = |template, address: &str| {
        bootstrap(template)
            .server_listener_name(&self::address(address))
            .unwrap()
            .as_str()
            .to_owned()
    };
    assert_eq!(name("grpc/server?a=%s", "[::]:8080"), "grpc/server?a=[::]:8080");
    let template = "xdstp:///envoy.config.listener.v3.Listener/grpc/server/%s";
    assert_eq!(
        name(template, "0.0.0.0:8080"),
        "xdstp:///envoy.config.listener.v3.Listener/grpc/server/0.0.0.0:8080"
    );
    assert_eq!(
        name(template, "[::]:8080"),
        "xdstp:///envoy.config.listener.v3.Listener/grpc/server/%5B::%5D:8080"
    );
    assert_eq!(name("grpc/server?a=%s", "/run/x y.sock"), "grpc/server?a=/run/x y.sock");
}

/// An address and port, or the path of a socket.
fn address(text: &str) -> Address {
    text.parse().map_or_else(|_| Address::Unix(text.into()), Address::Socket)
}

#[test]
fn authorities_have_servers_of_their_own() {
    let bootstrap = with(json!({"authorities": {
        "own": {"xds_servers": [server("own:2")], "fallback_on_reachability_only": true},
        "shared": {"xds_servers": []},
        "a/b": {},
    }}))
    .unwrap();
    let servers = |text: &str| {
        let name = ResourceName::parse(ResourceType::Cluster, text).unwrap();
        Some(bootstrap.servers_of(&name)?[0].uri.as_str())
    };
    assert_eq!(servers("plain"), Some("xds:1"));
    assert_eq!(servers("xdstp://own/envoy.config.cluster.v3.Cluster/c"), Some("own:2"));
    assert_eq!(servers("xdstp://shared/envoy.config.cluster.v3.Cluster/c"), Some("xds:1"));
    assert_eq!(servers("xdstp://a%2Fb/envoy.config.cluster.v3.Cluster/c"), Some("xds:1"));
    assert_eq!(servers("xdstp://gone/envoy.config.cluster.v3.Cluster/c"), None);
    assert_eq!(servers("xdstp:///envoy.config.cluster.v3.Cluster/c"), None);
    assert!(bootstrap.authorities["own"].fallback_on_reachability_only);
    assert!(!bootstrap.authorities["shared"].fallback_on_reachability_only);
}

#[test]
fn templates_stay_in_their_authority() {
    rejected(
        with(json!({"authorities": {"a": {
            "client_listener_resource_name_template": "xdstp://b/envoy.config.listener.v3.Listener/%s"
        }}})),
        "authorities.a.client_listener_resource_name_template: must start with \"xdstp://a/\"",
    );
    rejected(
        with(json!({"authorities": {"a": {"xds_servers": [{"server_uri": "x:1"}]}}})),
        "authorities.a.xds_servers[0].channel_creds: missing",
    );
    rejected(
        with(json!({"authorities": {"a": {"fallback_on_reachability_only": "yes"}}})),
        "authorities.a.fallback_on_reachability_only: expected true or false",
    );
}

#[test]
fn allowed_services_are_kept() {
    let bootstrap = with(json!({"allowed_grpc_services": {
        "dns:///authz:1": {"channel_creds": [{"type": "insecure"}]},
    }}))
    .unwrap();
    let service = &bootstrap.allowed_grpc_services["dns:///authz:1"];
    assert_eq!(service.channel_credentials, ChannelCredentials::Insecure);
    rejected(
        with(json!({"allowed_grpc_services": {"a": {"channel_creds": []}}})),
        "allowed_grpc_services.a.channel_creds: empty",
    );
}

#[test]
fn agents_are_found_where_they_usually_are() {
    let provider = |plugin: &str, config: Value| {
        let instance = json!({"plugin_name": plugin, "config": config});
        let bootstrap = with(json!({"certificate_providers": {"a": instance}}));
        bootstrap.map(|mut it| it.certificate_providers.remove("a").unwrap())
    };
    let workload = |config| match provider("spiffe_workload_api", config) {
        Ok(CertificateProvider::WorkloadApi(found)) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(workload(Value::Null), WorkloadApi::default());
    let full = workload(json!({"socket_path": "/run/agent.sock", "hint": "inside"}));
    let path = full.socket.as_ref().and_then(ServerUri::unix_path);
    assert_eq!(path, Some(std::path::Path::new("/run/agent.sock")));
    assert_eq!(full.hint.as_deref(), Some("inside"));
    let sds = |config| match provider("sds", config) {
        Ok(CertificateProvider::Sds(found)) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(sds(Value::Null), Sds::default());
    let istio = std::path::Path::new("./var/run/secrets/workload-spiffe-uds/socket");
    assert_eq!(Sds::default().socket.unix_path(), Some(istio));
    let other =
        sds(json!({"socket_path": "unix:///s", "certificate": "", "validation_context": "x"}));
    assert_eq!((other.certificate, other.validation_context), (None, Some("x".to_owned())));
    let path = "certificate_providers.a.config";
    for (plugin, config, expect) in [
        ("sds", json!({"certificate": "", "validation_context": ""}), path.to_owned() + ": names"),
        ("sds", json!({"certificate": 1}), path.to_owned() + ".certificate: expected a string"),
        ("sds", json!([]), path.to_owned() + ": expected an object"),
        (
            "spiffe_workload_api",
            json!({"socket_path": "tcp://10.0.0.1:8000"}),
            path.to_owned() + ".socket_path: expected the path of a socket",
        ),
        ("spiffe_workload_api", json!({"socket_path": ""}), path.to_owned() + ".socket_path"),
    ] {
        let error = provider(plugin, config).unwrap_err().to_string();
        assert!(error.starts_with(&expect), "{error}");
    }
}
