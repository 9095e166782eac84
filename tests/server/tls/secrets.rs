//! Secrets from the management server (SDS over ADS), on both sides of a connection.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use base64::Engine;
use mesh_core::identity::{Feed, Material};
use mesh_hyper::{Client, Mesh, Peer, Server, SpiffeId};
use mesh_tests::Control;
use mesh_xds::bootstrap::Bootstrap;
use mesh_xds::identity::{DevCa, Issued};

use super::kit::{Caller, ask, chain, feed, listener, rest};
use crate::kit::Served;

/// The features of a management server, for both variants of the protocol.
const VARIANTS: [&[&str]; 2] = [&[], &["delta"]];

/// A server whose identity, authorities and revocation lists are secrets, and what it is given.
struct World {
    ca: DevCa,
    control: Control,
    features: &'static [&'static str],
    served: Served,
    resources: String,
}

impl World {
    /// One that has its listener and no secret yet.
    async fn start(features: &'static [&'static str]) -> Self {
        let ca = DevCa::new("td").unwrap();
        let control = Control::start().await.unwrap();
        let mesh = mesh(&control, features);
        let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
        let app = Router::new().route("/", get(who));
        let served = Served::run(mesh, server, |server| tokio::spawn(server.serve(app)));
        let socket = socket("Downstream", "require_client_certificate: true,", "default");
        let resources = listener(served.port, &[chain(&socket, "", "")]);
        let world = Self { ca, control, features, served, resources };
        world.push("").await.unwrap();
        world.asked("default").await;
        world
    }

    /// Waits until somebody asks for the secret `name`, and knows what there is to know of it: by the
    /// delta variant that it does not exist, by the other nothing.
    async fn asked(&self, name: &str) {
        let asks = |clients: &[Arc<mesh_xds::control_plane::Client>]| {
            let mut secrets = clients.iter().filter_map(|client| client.subscriptions.get(SECRET));
            secrets.any(|secrets| secrets.names.contains(name) && secrets.is_in_force())
        };
        self.control.plane().clients_when(asks).await;
    }

    /// The listener, and `secrets`: once they are in force, or why they are not.
    async fn push(&self, secrets: &str) -> Result<(), String> {
        let revision = self.control.push(&[&*self.resources, secrets].concat()).unwrap();
        let done = self.control.plane().in_force(&revision).await;
        done.map_err(|rejection| rejection.message)
    }

    fn issue(&self, path: &str) -> Issued {
        self.ca.issue(&self.ca.workload(path)).unwrap()
    }

    fn caller(&self, issued: &Issued) -> Caller {
        let (identity, trust) = (Some(issued.identity()), self.ca.trust(&[]));
        Caller::new(Arc::new(Feed::of(Material { identity, trust, crls: Vec::new() })))
    }
}

/// A mesh on a control plane. It has a certificate provider that is called as a secret is, and is
/// somebody else.
fn mesh(control: &Control, features: &[&str]) -> Mesh {
    let template = r#"{"server_listener_resource_name_template": "server/%s", "#;
    let json = control.bootstrap_json(features).replacen('{', template, 1);
    let other = DevCa::new("other").unwrap();
    let provider = feed(&other, &other.workload("/provider"));
    let mesh = Mesh::builder().bootstrap(Bootstrap::from_json(&json).unwrap());
    mesh.identity("default", provider).build().unwrap()
}

async fn who(peer: Peer) -> String {
    peer.spiffe_id().map_or("nobody", SpiffeId::as_str).to_owned()
}

/// TLS with the secret `own`, and with peers whom `ROOTCA` vouches for.
fn socket(side: &str, more: &str, own: &str) -> String {
    let secret =
        |name| format!("{{ name: {name}, sds_config: {{ ads: {{}}, resource_api_version: V3 }} }}");
    format!(
        "transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext, {more} common_tls_context: {{ tls_certificate_sds_secret_configs: [{}], combined_validation_context: {{ default_validation_context: {{}}, validation_context_sds_secret_config: {} }} }} }} }}",
        secret(own),
        secret("ROOTCA"),
    )
}

fn secret(name: &str, what: &str) -> String {
    format!(
        "\n- \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  {what}\n"
    )
}

fn pair(name: &str, issued: &Issued) -> String {
    let (chain, key) = (issued.chain_pem(), issued.key_pem());
    secret(
        name,
        &format!(
            "tls_certificate: {{ certificate_chain: {{ inline_string: {chain:?} }}, private_key: {{ inline_string: {key:?} }} }}"
        ),
    )
}

fn roots(ca: &DevCa, revoked: &[&Issued]) -> String {
    let der = ca.revocation_list(revoked).unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let list = format!("-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n");
    let root = ca.root_pem();
    secret(
        "ROOTCA",
        &format!(
            "validation_context: {{ trusted_ca: {{ inline_string: {root:?} }}, crl: {{ inline_string: {list:?} }} }}"
        ),
    )
}

#[tokio::test]
async fn a_server_waits_for_its_secrets_and_each_handshake_uses_the_newest() {
    for features in VARIANTS {
        let mut world = World::start(features).await;
        let server = world.issue("/server");
        let (first, roots) = (pair("default", &server), roots(&world.ca, &[]));
        let waits = world.served.mesh.status().await.to_string();
        let why = match features {
            [] => "waiting for secret ROOTCA",
            _ => "Secret ROOTCA: DoesNotExist",
        };
        assert!(waits.contains(why), "{waits}");
        world.push(&[&*first, &*roots].concat()).await.unwrap();
        world.served.serving().await;
        let caller = world.caller(&world.issue("/client"));
        let mut open = caller.connect(world.served.port).await.unwrap();
        assert_eq!(open.get_ref().1.peer_certificates().unwrap()[0][..], server.der()[..]);
        assert_eq!(ask(&mut open, "").await.unwrap(), "spiffe://td/client");
        for _ in 0..5 {
            let next = world.issue("/server");
            world.push(&[&*pair("default", &next), &*roots].concat()).await.unwrap();
            let mut io = caller.connect(world.served.port).await.unwrap();
            assert_eq!(io.get_ref().1.peer_certificates().unwrap()[0][..], next.der()[..]);
            assert_eq!(ask(&mut io, "").await.unwrap(), "spiffe://td/client");
        }
        // Neither the listener nor its connections were replaced.
        assert_eq!(ask(&mut open, "").await.unwrap(), "spiffe://td/client");
    }
}

#[tokio::test]
async fn a_bad_secret_is_refused_by_its_field_and_shown_nowhere() {
    for features in VARIANTS {
        let mut world = World::start(features).await;
        let (server, other) = (world.issue("/server"), world.issue("/server"));
        let roots = roots(&world.ca, &[]);
        world.push(&[&*pair("default", &server), &*roots].concat()).await.unwrap();
        world.served.serving().await;
        let mixed = pair("default", &server)
            .replace(&format!("{:?}", server.key_pem()), &format!("{:?}", other.key_pem()));
        let why = world.push(&[&*mixed, &*roots].concat()).await.unwrap_err();
        assert_eq!(why, "default: tls_certificate: the private key is not that of the certificate");
        let file = "tls_certificate: { certificate_chain: { filename: /etc/passwd }, private_key: { filename: /etc/passwd } }";
        let why = world.push(&[&*secret("default", file), &*roots].concat()).await.unwrap_err();
        assert_eq!(why, "default: tls_certificate.certificate_chain: is not inline");
        let caller = world.caller(&world.issue("/client"));
        assert_eq!(caller.get(world.served.port).await.unwrap(), "spiffe://td/client");
        let status = world.served.mesh.status().await;
        let all = format!("{status} {status:?}");
        for issued in [&server, &other] {
            let key = issued.key_pem();
            assert!(!all.contains(key.lines().nth(1).unwrap()));
        }
        let raw = status.graph.unwrap().resources.into_iter();
        let secrets = raw.filter(|it| it.kind == mesh_xds::name::ResourceType::Secret);
        assert_eq!(secrets.map(|it| it.raw.len()).collect::<Vec<_>>(), [0, 0]);
    }
}

#[tokio::test]
async fn a_revocation_list_in_a_secret_closes_what_it_forbids() {
    for features in VARIANTS {
        let mut world = World::start(features).await;
        let own = pair("default", &world.issue("/server"));
        world.push(&[&*own, &*roots(&world.ca, &[])].concat()).await.unwrap();
        world.served.serving().await;
        let (bad, good) = (world.issue("/bad"), world.issue("/good"));
        let mut revoked = world.caller(&bad).connect(world.served.port).await.unwrap();
        assert_eq!(ask(&mut revoked, "").await.unwrap(), "spiffe://td/bad");
        let mut other = world.caller(&good).connect(world.served.port).await.unwrap();
        assert_eq!(ask(&mut other, "").await.unwrap(), "spiffe://td/good");
        world.push(&[&*own, &*roots(&world.ca, &[&bad])].concat()).await.unwrap();
        assert_eq!(rest(&mut revoked).await, [0u8; 0]);
        assert_eq!(ask(&mut other, "").await.unwrap(), "spiffe://td/good");
        let error = world.caller(&bad).get(world.served.port).await.unwrap_err();
        assert!(error.contains("CertificateRevoked"), "{error}");
    }
}

#[tokio::test]
async fn a_client_and_a_server_meet_by_secrets_alone() {
    for features in VARIANTS {
        let mut world = World::start(features).await;
        let port = world.served.port;
        world.resources += &format!(
            r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: greeter
  api_listener:
    api_listener:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      route_config: {{ virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, route: {{ cluster: c }} }}] }}] }}
      http_filters: [{{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: c
  type: STATIC
  load_assignment: {{ cluster_name: c, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}] }}
  {}
"#,
            socket("Upstream", "", "client")
        );
        let server = pair("default", &world.issue("/server"));
        let roots = roots(&world.ca, &[]);
        let client = pair("client", &world.issue("/a-client"));
        let all = [&*server, &*roots, &*client].concat();
        // By the delta variant the client would hear that it has no secret, and would not wait.
        let waits = features.is_empty();
        let first = if waits { [&*server, &*roots].concat() } else { all.clone() };
        world.push(&first).await.unwrap();
        world.served.serving().await;
        let http = Client::new(&mesh(&world.control, world.features));
        let asking = tokio::spawn(async move { http.get("http://greeter/").await?.text().await });
        if waits {
            // It waits for its secret, and then goes on.
            world.asked("client").await;
            assert!(!asking.is_finished());
            world.push(&all).await.unwrap();
        }
        assert_eq!(asking.await.unwrap().unwrap(), "spiffe://td/a-client");
    }
}

const SECRET: &str = mesh_xds::control_plane::type_url::SECRET;
