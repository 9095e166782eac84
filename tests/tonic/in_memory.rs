//! The same channel and the same service on the test kit.

use std::time::Duration;

use mesh_tonic::Channel;
use mesh_tonic::testing::{self, Reply, seeded};
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::service::Routes;
use tonic::{Code, Request};

use crate::service::Kinds;
use crate::{Codec, message, path, unary};

const YAML: &str = "
version: mesh/v1
services:
  kinds:
    protocol: grpc
    routes: [{ to: { v1: 1, v2: 1 } }]
    versions: { v1: 10.0.0.1:1, v2: 10.0.0.2:1 }
";

fn mesh() -> (testing::Mesh, Grpc<Channel>) {
    let mesh = testing::Mesh::from_yaml(YAML).unwrap();
    let client = Grpc::new(Channel::new(&mesh, "xds:///kinds").unwrap());
    (mesh, client)
}

#[tokio::test(start_paused = true)]
async fn a_tonic_server_is_a_backend() {
    let (mesh, mut client) = mesh();
    for version in ["kinds/v1", "kinds/v2"] {
        mesh.backend(version).serve(Routes::new(Kinds));
    }
    let answer = unary(&mut client, Request::new(message("refuse"))).await;
    assert_eq!(answer.unwrap_err().message(), "not today");

    let (send, receive) = tokio::sync::mpsc::channel(1);
    let request = Request::new(tokio_stream::wrappers::ReceiverStream::new(receive));
    let answer = client.streaming(request, path("Bidi"), Codec::default()).await;
    let mut echoes = answer.unwrap().into_inner();
    for n in 0..100 {
        send.send(message(&n.to_string())).await.unwrap();
        assert_eq!(echoes.next().await.unwrap().unwrap().text, format!("echo {n}"));
    }
}

#[tokio::test(start_paused = true)]
async fn scripts_decide_on_statuses_and_time() {
    let (mesh, mut client) = mesh();
    let wait = Duration::from_secs(3_600);
    for version in ["kinds/v1", "kinds/v2"] {
        let text = prost::Message::encode_to_vec(&message(version));
        let backend = mesh.backend(version);
        backend.delay(wait).respond_with(move |_| Reply::message(&text));
    }
    let start = Instant::now();
    let answer = unary(&mut client, Request::new(message(""))).await.unwrap();
    assert_eq!(start.elapsed(), wait);
    assert!(answer.into_inner().text.starts_with("kinds/v"));

    let mut request = Request::new(message(""));
    request.set_timeout(Duration::from_secs(60));
    let status = unary(&mut client, request).await.unwrap_err();
    assert_eq!((status.code(), start.elapsed().as_secs()), (Code::DeadlineExceeded, 3_660));

    mesh.backend("kinds/v1").fail_always(Reply::grpc(9, "not now"));
    mesh.backend("kinds/v2").fail_always(503);
    let mut seen = Vec::new();
    for seed in 0..20 {
        let call = unary(&mut client, Request::new(message("")));
        seen.push(seeded(seed, call).await.unwrap_err().code());
    }
    assert!(seen.contains(&Code::FailedPrecondition) && seen.contains(&Code::Unavailable));
}
