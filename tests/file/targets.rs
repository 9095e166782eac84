use std::time::Duration;

use mesh_tests::Backend;
use mesh_tonic::testing;
use tonic::Code;

use crate::{Files, call, client, count, counts};
use mesh_tests::yaml::{LISTENER, cluster, routes};

const OPTIONS: &str = r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }
"#;

/// A cluster with one endpoint of its own.
fn own_cluster(name: &str, kind: &str, host: &str, backend: &Backend) -> String {
    let port = backend.address().port();
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {name}
type: {kind}
load_assignment:
  cluster_name: {name}
  endpoints:
    - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {host}, port_value: {port} }} }} }}
{OPTIONS}"#
    )
}

#[tokio::test]
async fn every_kind_of_cluster_is_reached() {
    for (kind, host) in
        [("STATIC", "127.0.0.1"), ("STRICT_DNS", "localhost"), ("LOGICAL_DNS", "localhost")]
    {
        let a = Backend::start("a").await.unwrap();
        let to_a = routes(&["{ match: { prefix: \"\" }, route: { cluster: a } }"]);
        let files = Files::new(&[
            ("listener.yaml", LISTENER),
            ("routes.yaml", &to_a),
            ("clusters.yaml", &own_cluster("a", kind, host, &a)),
        ]);
        let mesh = files.mesh();
        let mut client = client(&mesh, "xds:///greeter");
        assert_eq!(count(&mut client, 10).await, counts(&[("a", 10)]), "{kind}");
    }
}

#[tokio::test]
async fn endpoints_in_a_resource_of_their_own_are_found() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let to_a = routes(&["{ match: { prefix: \"\" }, route: { cluster: a } }"]);
    let files =
        Files::new(&[("all.yaml", &[LISTENER, &to_a, &cluster("a", &[&[&a], &[&b]])].concat())]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 10).await, counts(&[("a", 10)]));
    assert_eq!(b.calls(), 0);
}

#[tokio::test]
async fn an_aggregate_uses_its_first_cluster_with_endpoints() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let aggregate = r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: all
lb_policy: CLUSTER_PROVIDED
cluster_type:
  name: envoy.clusters.aggregate
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig
    clusters: [empty, dns, own]
"#;
    let to_all = routes(&["{ match: { prefix: \"\" }, route: { cluster: all } }"]);
    let files = Files::new(&[
        ("a.yaml", LISTENER),
        ("b.yaml", &[&*to_all, aggregate, &cluster("empty", &[&[]])].concat()),
        (
            "c.yaml",
            &[
                own_cluster("dns", "STRICT_DNS", "localhost", &a),
                own_cluster("own", "STATIC", "127.0.0.1", &b),
            ]
            .concat(),
        ),
    ]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 10).await, counts(&[("a", 10)]));
}

#[tokio::test(start_paused = true)]
async fn the_short_form_routes_by_header_and_by_name() {
    let mesh = testing::Mesh::from_yaml(
        "version: mesh/v1
services:
  by-header:
    protocol: grpc
    routes:
      - match: { header: { content-type: { prefix: application/grpc } } }
        to: v2
      - to: v1
    versions: { v1: 10.0.0.1:1, v2: 10.0.0.2:1 }
  by-name:
    protocol: grpc
    versions: { v1: dns:one.example:1 }
",
    )
    .unwrap();
    for (service, backend) in [("by-header", "by-header/v2"), ("by-name", "by-name/v1")] {
        let seen = mesh.grpc(&format!("http://{service}/test.Echo/Say")).times(10).await;
        assert_eq!((seen.count(backend), seen.failures()), (10, 0), "{service}");
    }
    assert_eq!(mesh.get("http://by-header/").await.count("by-header/v1"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_short_forms_timeout_ends_a_call() {
    let mesh = testing::Mesh::from_yaml(
        "version: mesh/v1
defaults: { timeout: 50ms }
services: { greeter: { protocol: grpc, versions: { v1: 10.0.0.1:1 } } }
",
    )
    .unwrap();
    mesh.backend("greeter/v1").delay(Duration::from_secs(1));
    let status = call(&mut client(&mesh, "xds:///greeter")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(mesh.get("http://greeter/").await.elapsed(), Duration::from_millis(50));
}

#[tokio::test]
async fn a_target_that_is_in_no_file_fails_at_once() {
    let files = Files::new(&[("mesh.yaml", "version: mesh/v1\n")]);
    let mesh = files.mesh();
    let status = call(&mut client(&mesh, "xds:///greeter")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let why = format!("it is not in {}", files.0.path().display());
    assert!(status.message().contains(&why), "{status}");
}

#[test]
fn a_bad_file_is_an_error_at_the_start() {
    let files = Files::new(&[
        ("a.yaml", LISTENER),
        (
            "b.yaml",
            &routes(&["{ match: { safe_regex: { regex: \"(\" } }, route: { cluster: a } }"]),
        ),
    ]);
    let error = mesh_tonic::Mesh::from_file(files.0.path()).unwrap_err();
    assert_eq!(error.kind(), mesh_xds::Kind::File);
    let start = format!(
        "{}:8: virtual_hosts[0].routes[0].match.safe_regex: ",
        files.path("b.yaml").display()
    );
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[tokio::test]
async fn a_header_that_names_no_cluster_there_is_answered_at_once() {
    let a = Backend::start("a").await.unwrap();
    let by_header = routes(&["{ match: { prefix: \"\" }, route: { cluster_header: x-cluster } }"]);
    let files = Files::new(&[
        ("listener.yaml", LISTENER),
        ("routes.yaml", &by_header),
        ("clusters.yaml", &own_cluster("a", "STATIC", "127.0.0.1", &a)),
    ]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    let absent = format!("cluster b: it is not in {}", files.0.path().display());
    for (name, why) in [
        ("b", &*absent),
        ("xdstp:b", "cluster xdstp:b: xdstp resource name has no authority part"),
        ("xdstp://b", "cluster xdstp://b: xdstp resource name has no resource type"),
    ] {
        let mut request = tonic::Request::new(mesh_tests::Message::default());
        request.metadata_mut().insert("x-cluster", name.parse().unwrap());
        let call = client.call(crate::SAY, request);
        let error = tokio::time::timeout(std::time::Duration::from_secs(10), call).await.unwrap();
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        assert_eq!(error.message(), format!("xds:///greeter: {why}"));
    }
}
