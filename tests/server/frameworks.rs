//! Applications as their frameworks make them, on servers without a control plane.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use mesh_core::cluster::Address;
use mesh_hyper::{Client, Mesh, Peer, Server};
use mesh_tests::{EchoClient, Message, service};
use mesh_tonic::{Channel, ServingState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;

fn place(server: &Server) -> SocketAddr {
    match server.local_addr() {
        Address::Socket(address) => *address,
        other @ (Address::Unix(_) | _) => panic!("{other}"),
    }
}

#[tokio::test]
async fn axum_finds_peers_and_streams_events() {
    async fn who(peer: Peer, ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
        assert_eq!(peer.remote, Some(address));
        format!("{}", address.ip())
    }
    async fn events() -> Sse<impl tokio_stream::Stream<Item = Result<Event, std::io::Error>>> {
        let first = tokio_stream::once(Ok(Event::default().data("first")));
        Sse::new(first.chain(tokio_stream::pending()))
    }
    let mesh = Mesh::disabled().unwrap();
    let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let address = place(&server);
    let app = Router::new().route("/", get(who)).route("/events", get(events)).with_state(());
    let running = tokio::spawn(server.serve(app));
    let client = Client::new(&mesh);
    let page =
        client.get(format!("http://{address}/").parse::<http::Uri>().unwrap()).await.unwrap();
    assert_eq!(page.text().await.unwrap(), "127.0.0.1");

    // An event is there before the response ends, which this one never does.
    let mut io = tokio::net::TcpStream::connect(address).await.unwrap();
    io.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("data: first") {
        let mut some = [0; 512];
        let count = io.read(&mut some).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    running.abort();
}

#[tokio::test]
async fn grpc_and_unix_sockets_are_served_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("echo.sock");
    let mesh = Mesh::disabled().unwrap();
    let (tell, mut states) = tokio::sync::watch::channel(false);
    let server = mesh_tonic::Server::bind_unix(&mesh, &path)
        .unwrap()
        .on_state(move |state| _ = tell.send_replace(*state == ServingState::Serving));
    let running = tokio::spawn(server.serve(service("one")));
    states.wait_for(|serves| *serves).await.unwrap();
    let mut io = tokio::net::UnixStream::connect(&path).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    io.read_exact(&mut some).await.unwrap();
    // It is served, and says that it is for gRPC.
    assert_eq!(&some, b"HTTP/1.1 415");
    running.abort();

    let server = mesh_tonic::Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let target = format!("xds:///{}", place(&server));
    let running = tokio::spawn(server.serve(service("one")));
    let mut client = EchoClient::new(Channel::new(&mesh, &target).unwrap());
    let answer = client.call("/test.Echo/Say", Message::default()).await.unwrap();
    assert_eq!(answer.into_inner().text, "one");
    running.abort();
}
