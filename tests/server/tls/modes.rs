//! How connections are secured: by what they begin with, what they ask for, what they offer.

use mesh_tests::{EchoClient, Message, service};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::identity::DevCa;

use super::kit::{Caller, World, ask, chain, feed, mutual, of, plain, rest, socket, strict};
use crate::kit::{Served, bootstrap};

fn permissive() -> [String; 2] {
    let tls = of("transport_protocol: tls", &mutual(""));
    let raw = of("transport_protocol: raw_buffer", "name: raw");
    [chain(&tls, "", ""), chain(&raw, "", "")]
}

#[tokio::test]
async fn permissive_serves_both_on_one_port() {
    let world = World::start(&permissive()).await;
    assert_eq!(ask(&mut world.plain().await, "").await.unwrap(), "nobody");
    let caller = world.client("/client");
    assert_eq!(caller.get(world.served.port).await.unwrap(), "spiffe://td/client");
    let anonymous = Caller::anonymous(&world.ca);
    anonymous.get(world.served.port).await.unwrap_err();
}

#[tokio::test]
async fn from_plain_text_to_tls_by_push() {
    let world = World::start(&[plain()]).await;
    let mut old = world.plain().await;
    assert_eq!(ask(&mut old, "").await.unwrap(), "nobody");
    world.push(&permissive());
    // Drained: the connection ends once it has nothing to do (gRFC A36).
    assert_eq!(rest(&mut old).await, [0u8; 0]);
    let mut old = world.plain().await;
    assert_eq!(ask(&mut old, "").await.unwrap(), "nobody");
    let caller = world.client("/client");
    let mut secured = caller.connect(world.served.port).await.unwrap();
    assert_eq!(ask(&mut secured, "").await.unwrap(), "spiffe://td/client");
    world.push(&[strict()]);
    assert_eq!(rest(&mut old).await, [0u8; 0]);
    assert_eq!(rest(&mut secured).await, [0u8; 0]);
    ask(&mut world.plain().await, "").await.unwrap_err();
    assert_eq!(caller.get(world.served.port).await.unwrap(), "spiffe://td/client");
}

#[tokio::test]
async fn names_and_protocols_choose_the_chain() {
    let named = of("server_names: ['*.shop']", &mutual(""));
    let sidecar = of("application_protocols: [istio]", &socket("", ""));
    let chains = [chain(&named, "", ""), chain(&sidecar, "", "")];
    let mut world = World::start(&chains).await;
    let port = world.served.port;
    let named = world.client("/client").asking("Cart.Shop");
    assert_eq!(named.get(port).await.unwrap(), "spiffe://td/client");
    // The other chain asks nobody for a certificate.
    let sidecar = world.client("/client").offering(&["istio", "http/1.1"]);
    assert_eq!(sidecar.get(port).await.unwrap(), "nobody");
    world.client("/client").asking("shop").get(port).await.unwrap_err();
    assert_eq!(world.refusal().await, "no filter chain is for it");
}

#[tokio::test]
async fn protocols_are_those_of_the_resource() {
    let names = "alpn_protocols: [istio-peer-exchange, istio-http/1.1, h2]";
    let chains = [chain(&socket(names, ""), "", "")];
    let mut world = World::start(&chains).await;
    let port = world.served.port;
    for (offered, agreed) in [
        (&["istio-peer-exchange", "istio-http/1.1", "h2"][..], Some(&b"istio-http/1.1"[..])),
        (&["h2", "http/1.1"], Some(b"h2")),
        (&[], None),
    ] {
        let caller = Caller::anonymous(&world.ca).offering(offered);
        let io = caller.connect(port).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), agreed);
    }
    let none = Caller::anonymous(&world.ca).offering(&["istio-peer-exchange"]);
    let error = none.connect(port).await.unwrap_err();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    assert_eq!(world.refusal().await, "TLS: peer doesn't support any known protocol");
    // What was agreed on is what is spoken.
    let mut io = Caller::anonymous(&world.ca).offering(&["h2"]).connect(port).await.unwrap();
    assert!(ask(&mut io, "").await.is_err());
}

#[tokio::test]
async fn grpc_between_workloads_of_the_mesh() {
    let ca = DevCa::new("td").unwrap();
    let control = mesh_tests::Control::start().await.unwrap();
    let mesh = Mesh::builder()
        .bootstrap(bootstrap(&control))
        .identity("default", feed(&ca, &ca.workload("/server")))
        .build()
        .unwrap();
    let server = mesh_tonic::Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let mut served = Served::run(mesh, server, |server| tokio::spawn(server.serve(service("one"))));
    let port = served.port;
    control.push(&super::kit::listener(port, &[strict()])).unwrap();
    served.serving().await;
    let directory = tempfile::tempdir().unwrap();
    let to_a = "{ match: { prefix: \"\" }, route: { cluster: a } }";
    let routes = mesh_tests::yaml::routes(&[to_a]);
    let cluster = format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: a
type: STATIC
load_assignment: {{ cluster_name: a, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}] }}
transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {{ tls_certificate_provider_instance: {{ instance_name: default }}, validation_context: {{ ca_certificate_provider_instance: {{ instance_name: default }}, match_typed_subject_alt_names: [{{ san_type: URI, matcher: {{ exact: 'spiffe://td/server' }} }}] }} }} }} }}
"#
    );
    let all = [mesh_tests::yaml::LISTENER, &routes, &cluster].concat();
    std::fs::write(directory.path().join("all.yaml"), all).unwrap();
    let client = mesh_xds::Mesh::builder().files(directory.path());
    let client = client.identity("default", feed(&ca, &ca.workload("/client"))).build().unwrap();
    let mut client = EchoClient::new(Channel::new(&client, "xds:///greeter").unwrap());
    let answer = client.call("/test.Echo/Say", Message::default()).await.unwrap();
    assert_eq!(answer.into_inner().text, "one");
}
