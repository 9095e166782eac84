//! Identities on the way of a call: who is spoken to, who is not, and what changes under traffic.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod refusals;
mod rotation;
mod tenants;

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::identity::{ClientRules, Clients, Feed, Source};
use mesh_tests::yaml::{LISTENER, routes};
use mesh_tests::{Door, EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::identity::{DevCa, Request};
use tempfile::TempDir;

/// Where a cluster's endpoint is and how to speak to it, and the mesh that says so in a file.
struct World {
    directory: TempDir,
    mesh: Mesh,
}

impl World {
    /// The mesh of a client with the identity and authorities of `source`.
    fn new(source: Arc<dyn Source>, cluster: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let to_a = routes(&["{ match: { prefix: \"\" }, route: { cluster: a } }"]);
        std::fs::write(directory.path().join("rest.yaml"), [LISTENER, &to_a].concat()).unwrap();
        std::fs::write(directory.path().join("cluster.yaml"), cluster).unwrap();
        let mesh = mesh_xds::Mesh::builder().files(directory.path());
        let mesh = mesh.identity("default", source).build().unwrap();
        Self { directory, mesh }
    }

    fn client(&self) -> EchoClient<Channel> {
        EchoClient::new(Channel::new(&self.mesh, "xds:///greeter").unwrap())
    }

    /// Replaces the cluster.
    fn update(&self, cluster: &str) {
        let new = self.directory.path().join(".new");
        std::fs::write(&new, cluster).unwrap();
        std::fs::rename(new, self.directory.path().join("cluster.yaml")).unwrap();
    }
}

/// The answer, or code and message of the status.
async fn call(client: &mut EchoClient<Channel>) -> Result<String, String> {
    let answer = client.call("/test.Echo/Say", Message::default()).await;
    let answer = answer.map(|answer| answer.into_inner().text);
    answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))
}

/// A cluster with one endpoint, and what stands below its other fields.
fn cluster(address: SocketAddr, more: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: a
type: STATIC
load_assignment:
  cluster_name: a
  endpoints:
    - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }}
          metadata: {{ filter_metadata: {{ envoy.transport_socket_match: {{ tlsMode: istio }} }} }}
{more}"#
    )
}

/// TLS to whom the SPIFFE ID `server` names.
fn tls(server: &str) -> String {
    format!(
        r#"transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: a.example
    common_tls_context:
      tls_certificate_provider_instance: {{ instance_name: default }}
      validation_context:
        ca_certificate_provider_instance: {{ instance_name: default }}
        match_typed_subject_alt_names:
          - {{ san_type: URI, matcher: {{ exact: "{server}" }} }}
"#
    )
}

fn feed(ca: &DevCa, request: &Request) -> Arc<Feed> {
    Arc::new(Feed::of(ca.material(request).unwrap()))
}

/// A backend that is `/server` of the trust domain, and takes clients of the same authorities.
async fn door(source: Arc<dyn Source>) -> Door {
    let rules = ClientRules { authorities: "default".into(), accepted: Box::default() };
    Door::start("a", source, Clients::Required(rules)).await.unwrap()
}
