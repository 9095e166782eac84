//! gRPC between workloads of the mesh, and policies that change under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_tests::{Control, EchoClient, Message, service};
use mesh_tonic::{Channel, Mesh};
use mesh_xds::identity::DevCa;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

use super::kit::{chain, feed, listener, mutual, strict};
use super::policies::rbac;
use crate::kit::{Served, bootstrap};

/// A server that is `spiffe://td/server` with `chains`, and a client that is `spiffe://td/client`.
struct Pair {
    control: Control,
    served: Served,
    client: EchoClient<Channel>,
    _files: TempDir,
}

impl Pair {
    async fn start(chains: &[String]) -> Self {
        let ca = DevCa::new("td").unwrap();
        let control = Control::start().await.unwrap();
        let mesh = Mesh::builder()
            .bootstrap(bootstrap(&control))
            .identity("default", feed(&ca, &ca.workload("/server")))
            .build()
            .unwrap();
        let server = mesh_tonic::Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
        let mut served =
            Served::run(mesh, server, |server| tokio::spawn(server.serve(service("one"))));
        control.push(&listener(served.port, chains)).unwrap();
        served.serving().await;
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("all.yaml"), resources(served.port)).unwrap();
        let mesh = mesh_xds::Mesh::builder().files(files.path());
        let mesh = mesh.identity("default", feed(&ca, &ca.workload("/client"))).build().unwrap();
        let client = EchoClient::new(Channel::new(&mesh, "xds:///greeter").unwrap());
        Self { control, served, client, _files: files }
    }

    /// Replaces the listener; afterwards the server has said that it took it.
    async fn push(&self, chains: &[String]) {
        let revision = self.control.push(&listener(self.served.port, chains)).unwrap();
        self.control.plane().in_force(&revision).await.unwrap();
    }
}

/// What the client needs to reach the server at `port`.
fn resources(port: u16) -> String {
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
    [mesh_tests::yaml::LISTENER, &routes, &cluster].concat()
}

async fn say(client: &mut EchoClient<Channel>) -> Result<String, Code> {
    let answer = client.call("/test.Echo/Say", Message::default()).await;
    answer.map(|answer| answer.into_inner().text).map_err(|status| status.code())
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let mut pair = Pair::start(&[strict()]).await;
    assert_eq!(say(&mut pair.client).await, Ok("one".into()));
}

/// Calls without end. A generation that is odd is one in which the policy changes; of the others,
/// every second one denies.
async fn call(
    mut client: EchoClient<Channel>,
    generation: Arc<AtomicU64>,
    settled: Arc<watch::Sender<u64>>,
) {
    loop {
        let before = generation.load(Ordering::SeqCst);
        let result = say(&mut client).await;
        let is_settled = before.is_multiple_of(2) && before == generation.load(Ordering::SeqCst);
        let (allowed, denied) = (Ok("one".to_owned()), Err(Code::PermissionDenied));
        match (is_settled, before % 4) {
            (true, 0) => assert_eq!(result, allowed),
            (true, _) => assert_eq!(result, denied),
            (false, _) => assert!(result == allowed || result == denied, "{result:?}"),
        }
        settled.send_modify(|count| *count += u64::from(is_settled));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_let_in_by_a_policy_of_before() {
    let policy = |action| [chain(&mutual(""), "", &rbac(action, "/client"))];
    let pair = Pair::start(&policy("ALLOW")).await;
    let generation = Arc::new(AtomicU64::new(0));
    let (tell, mut settled) = watch::channel(0);
    let tell = Arc::new(tell);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        callers.spawn(call(pair.client.clone(), generation.clone(), tell.clone()));
    }
    drop(tell);
    for action in ["DENY", "ALLOW"].into_iter().cycle().take(20) {
        generation.fetch_add(1, Ordering::SeqCst);
        pair.push(&policy(action)).await;
        generation.fetch_add(1, Ordering::SeqCst);
        let now = *settled.borrow();
        settled.wait_for(|count| *count >= now + 200).await.unwrap();
        // A caller that has ended has seen what must not be.
        if let Some(ended) = callers.try_join_next() {
            ended.unwrap();
        }
    }
}
