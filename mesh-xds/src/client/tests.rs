//! TLS towards a management server, over streams in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_core::identity::{ClientRules, Clients, Feed, Material, ServerTls};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::connect;
use super::secure::Secure;
use crate::Mesh;
use crate::bootstrap::Bootstrap;
use crate::control_plane::ControlPlane;
use crate::identity::{DevCa, Identities, Issued};
use crate::providers::Providers;
use crate::testing::{InMemory, settle};

const HOST: &str = "control.example";

/// A management server that speaks TLS, and the files of its client.
struct World {
    network: Arc<InMemory>,
    server: Arc<Feed>,
    directory: tempfile::TempDir,
    /// The certificates that clients have shown.
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
    /// What the server's side has accepted.
    accepted: Option<mpsc::UnboundedReceiver<std::io::Result<DuplexStream>>>,
}

impl World {
    fn new(material: Material) -> Self {
        let (network, server) = (Arc::new(InMemory::default()), Arc::new(Feed::of(material)));
        let identities = Identities::default();
        identities.insert("server", server.clone());
        let rules = ClientRules { authorities: "server".into(), accepted: [].into() };
        let tls = ServerTls {
            identity: "server".into(),
            clients: Clients::Optional(rules),
            protocols: Box::default(),
        };
        let (config, _) = identities.server(&tls, vec![b"h2".to_vec()]).unwrap();
        let (acceptor, mut incoming) = (TlsAcceptor::from(config), network.listen());
        let shown: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (log, (sender, accepted)) = (shown.clone(), mpsc::unbounded_channel());
        tokio::spawn(async move {
            while let Some(Ok(stream)) = incoming.recv().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                log.lock().unwrap().extend(chain.first().map(|own| own.to_vec()));
                let (mut near, far) = tokio::io::duplex(64 * 1024);
                sender.send(Ok(far)).unwrap();
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut stream, &mut near).await.ok();
                });
            }
        });
        let directory = tempfile::tempdir().unwrap();
        Self { network, server, directory, shown, accepted: Some(accepted) }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn write_pair(&self, issued: &Issued) -> (String, String) {
        (self.write("cert.pem", issued.chain_pem()), self.write("key.pem", issued.key_pem()))
    }

    fn bootstrap(config: &serde_json::Value) -> Bootstrap {
        let server = json!({
            "server_uri": format!("{HOST}:443"),
            "channel_creds": [{ "type": "tls", "config": config }],
        });
        Bootstrap::from_json(&json!({ "xds_servers": [server] }).to_string()).unwrap()
    }

    /// What becomes of a connection of a client with `config`.
    async fn connect(&self, config: &serde_json::Value) -> Result<(), String> {
        let server = &Self::bootstrap(config).servers[0];
        let providers =
            Providers { identities: Arc::default(), handle: Handle::current(), recorder: None };
        let secure = Secure::of(server, &providers).map(Arc::new);
        connect::connect(server, secure.as_ref(), &self.network.edges()).await.map(drop)
    }
}

/// The server's identity with `name` in it, of `ca`, which the server trusts too.
fn server(ca: &DevCa, name: &str) -> (Issued, Material) {
    let issued = ca.issue(&ca.workload("/control").dns_name(name)).unwrap();
    let identity = Some(issued.identity());
    (issued, Material { identity, trust: ca.trust(&[]), crls: Vec::new() })
}

fn refusal(why: &str) -> Result<(), String> {
    Err(format!("cannot connect to {HOST}:443: transport error: {why}"))
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[tokio::test(start_paused = true)]
async fn a_server_is_accepted_by_its_name_and_the_authorities_in_the_file() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let world = World::new(server(&ca, HOST).1);
    let good = json!({ "ca_certificate_file": world.write("ca.pem", ca.root_pem()) });
    assert_eq!(world.connect(&good).await, Ok(()));
    let bad = json!({ "ca_certificate_file": world.write("other.pem", other.root_pem()) });
    assert_eq!(world.connect(&bad).await, refusal("invalid peer certificate: UnknownIssuer"));
    world.server.publish(server(&ca, "elsewhere.example").1);
    let names = r#""spiffe://td/control", "elsewhere.example""#;
    let why = format!("the peer's certificate is refused: it is not for {HOST}: {names}");
    assert_eq!(world.connect(&good).await, refusal(&why));
    // The system's authorities do not vouch for it, and none is no reason to go without.
    assert!(world.connect(&json!({})).await.is_err());
    let missing = json!({ "ca_certificate_file": "/nonexistent/ca.pem" });
    let why = world.connect(&missing).await.unwrap_err();
    assert!(why.contains("/nonexistent/ca.pem: No such file"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_revoked_is_refused() {
    let ca = DevCa::new("td").unwrap();
    let (issued, material) = server(&ca, HOST);
    let world = World::new(material);
    let list = ca.revocation_list(&[&issued]).unwrap();
    let config = json!({
        "ca_certificate_file": world.write("ca.pem", ca.root_pem()),
        "crl_file": world.write("crl.pem", pem("X509 CRL", &list)),
    });
    assert_eq!(world.connect(&config).await, refusal("invalid peer certificate: Revoked"));
    world.server.publish(server(&ca, HOST).1);
    assert_eq!(world.connect(&config).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_bundle_map_vouches_for_each_domain_and_for_no_other_name() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let world = World::new(server(&ca, HOST).1);
    let key = json!({ "kty": "EC", "use": "x509-svid", "x5c": [STANDARD.encode(ca.root_der())] });
    let map = json!({ "trust_domains": { "td": { "keys": [key] } } });
    let map = world.write("map.json", map.to_string());
    let config = json!({ "spiffe_trust_bundle_map_file": map });
    assert_eq!(world.connect(&config).await, Ok(()));
    world.server.publish(server(&other, HOST).1);
    let refused = world.connect(&config).await.unwrap_err();
    assert!(refused.contains("trust domain other"), "{refused}");
    world.server.publish(server(&ca, "cart.example").1);
    let refused = world.connect(&config).await.unwrap_err();
    assert!(refused.contains("it is not for control.example: "), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_mesh_goes_on_with_the_certificates_that_are_in_the_files_by_then() {
    let (ca, next) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let mut world = World::new(server(&ca, HOST).1);
    let client = |ca: &DevCa| ca.issue(&ca.workload("/client")).unwrap();
    let (first, second) = (client(&ca), client(&next));
    let (certificate, key) = world.write_pair(&first);
    let config = json!({
        "ca_certificate_file": world.write("ca.pem", ca.root_pem()),
        "certificate_file": certificate,
        "private_key_file": key,
        "refresh_interval": "1s",
    });
    let control = ControlPlane::new();
    let accepted = UnboundedReceiverStream::new(world.accepted.take().unwrap());
    tokio::spawn(control.serve_incoming(accepted, std::future::pending()));
    let mesh = Mesh::builder()
        .bootstrap(World::bootstrap(&config))
        .runtime(Handle::current())
        .edges(world.network.edges())
        .build()
        .unwrap();
    let _root = mesh.root("xds:///greeter").unwrap();
    settle().await;
    assert_eq!(control.clients().len(), 1);
    assert_eq!(*world.shown.lock().unwrap(), [first.der().to_vec()]);
    // Another authority on both sides: streams that are open go on, and later ones use it.
    world.write("ca.pem", next.root_pem());
    world.write_pair(&second);
    world.server.publish(server(&next, HOST).1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    control.faults().drop_streams();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(*world.shown.lock().unwrap(), [first.der().to_vec(), second.der().to_vec()]);
}
