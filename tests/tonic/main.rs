//! `mesh_tonic::Channel` under clients as tonic generates them: kinds of calls, metadata,
//! compression, deadlines, statuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod in_memory;
mod service;

use std::time::Duration;

use http::uri::PathAndQuery;
use mesh_tests::Message;
use mesh_tonic::{Channel, Mesh};
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

type Codec = ProstCodec<Message, Message>;

fn message(text: &str) -> Message {
    Message { text: text.to_owned() }
}

fn path(method: &str) -> PathAndQuery {
    format!("/test.Kinds/{method}").parse().unwrap()
}

/// A client of a service that has just been started, found without a control plane.
async fn client() -> Grpc<Channel> {
    let address = service::start().await;
    let mesh = Mesh::disabled().unwrap();
    Grpc::new(Channel::new(&mesh, &format!("xds:///{address}")).unwrap())
}

async fn unary(
    client: &mut Grpc<Channel>,
    request: Request<Message>,
) -> Result<Response<Message>, Status> {
    client.ready().await.unwrap();
    client.unary(request, path("Unary"), Codec::default()).await
}

#[tokio::test]
async fn all_four_kinds_of_calls_work() {
    let mut client = client().await;
    assert_eq!(
        unary(&mut client, Request::new(message(""))).await.unwrap().into_inner().text,
        "none"
    );

    let request = Request::new(message("3"));
    let answer = client.server_streaming(request, path("ServerStream"), Codec::default()).await;
    let messages: Vec<_> = answer.unwrap().into_inner().map(|m| m.unwrap().text).collect().await;
    assert_eq!(messages, ["0", "1", "2"]);

    let many = tokio_stream::iter((0..1_000).map(|n| message(&n.to_string())));
    let request = Request::new(many);
    let answer = client.client_streaming(request, path("ClientStream"), Codec::default()).await;
    assert_eq!(answer.unwrap().into_inner().text, "1000");

    let (send, receive) = tokio::sync::mpsc::channel(1);
    let request = Request::new(tokio_stream::wrappers::ReceiverStream::new(receive));
    let answer = client.streaming(request, path("Bidi"), Codec::default()).await;
    let mut echoes = answer.unwrap().into_inner();
    for n in 0..100 {
        send.send(message(&n.to_string())).await.unwrap();
        assert_eq!(echoes.message().await.unwrap().unwrap().text, format!("echo {n}"));
    }
    drop(send);
    assert!(echoes.message().await.unwrap().is_none());
}

#[tokio::test]
async fn metadata_travels_both_ways() {
    let mut client = client().await;
    let mut request = Request::new(message(""));
    request.metadata_mut().insert("x-text", "a b".parse().unwrap());
    request.metadata_mut().insert_bin("x-bytes-bin", MetadataValue::from_bytes(&[0, 255, 7]));
    let answer = unary(&mut client, request).await.unwrap();
    assert_eq!(answer.metadata().get("seen-x-text").unwrap(), "a b");
    let bytes = answer.metadata().get_bin("seen-bytes-bin").unwrap().to_bytes().unwrap();
    assert_eq!(&*bytes, &[0, 255, 7]);
    assert_eq!(answer.metadata().get("seen-te").unwrap(), "trailers");
}

#[tokio::test]
async fn compression_is_tonics_own() {
    let client = client().await.send_compressed(CompressionEncoding::Gzip);
    let mut client = client.accept_compressed(CompressionEncoding::Gzip);
    let answer = unary(&mut client, Request::new(message(""))).await.unwrap();
    assert_eq!(answer.metadata().get("seen-grpc-encoding").unwrap(), "gzip");
}

#[tokio::test]
async fn statuses_arrive_with_their_metadata() {
    let mut client = client().await;
    let status = unary(&mut client, Request::new(message("refuse"))).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not today"));
    assert_eq!(status.metadata().get("x-why").unwrap(), "tuesday");
}

#[tokio::test]
async fn a_deadline_is_told_and_kept() {
    let mut client = client().await;
    let mut request = Request::new(message(""));
    request.set_timeout(Duration::from_secs(3_600));
    let told = unary(&mut client, request).await.unwrap().into_inner().text;
    assert!(mesh_core::deadline::parse(told.as_bytes()).is_some(), "{told}");

    let mut request = Request::new(message("never"));
    request.set_timeout(Duration::from_millis(50));
    let status = unary(&mut client, request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_closed_port_fails_fast_and_says_where() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mesh = Mesh::disabled().unwrap();
    let channel = Channel::new(&mesh, &format!("xds:///{address}")).unwrap();
    let status = unary(&mut Grpc::new(channel), Request::new(message(""))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains(&address.to_string()), "{status}");
    assert!(status.message().contains("refused"), "{status}");
}

#[tokio::test]
async fn wait_for_ready_waits_for_the_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mesh = Mesh::disabled().unwrap();
    let channel = Channel::new(&mesh, &format!("xds:///{address}")).unwrap().wait_for_ready(true);
    let mut request = Request::new(message(""));
    request.set_timeout(Duration::from_millis(300));
    let status = unary(&mut Grpc::new(channel), request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_malformed_target_is_an_argument_error() {
    let mesh = Mesh::disabled().unwrap();
    let status = Channel::new(&mesh, "http://greeter").unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "target http://greeter: target does not start with xds:");
}
