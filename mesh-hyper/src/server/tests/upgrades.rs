//! Streams that the application has taken over.

use std::time::Duration;

use http::Response;
use mesh_core::listener::ChainMatch;
use mesh_core::snapshot::Inspection;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::kit::{App, Kit, anonymous, everything, say};

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: next\r\n\r\n";

/// Takes streams over, adds 1 to each byte, and says how they ended.
fn adder() -> (App, mpsc::UnboundedReceiver<std::io::Result<u8>>) {
    let (ended, ends) = mpsc::unbounded_channel();
    let app = App::new(move |mut request| {
        let (upgraded, ended) = (hyper::upgrade::on(&mut request), ended.clone());
        tokio::spawn(async move {
            let mut io = hyper_util::rt::TokioIo::new(upgraded.await.unwrap());
            let end = loop {
                match io.read_u8().await {
                    Ok(byte) => io.write_u8(byte + 1).await.unwrap(),
                    error => break error,
                }
            };
            ended.send(end).unwrap();
        });
        let mut response = Response::new(crate::empty());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        response.headers_mut().insert("upgrade", "next".parse().unwrap());
        std::future::ready(response)
    });
    (app, ends)
}

/// A connection that was upgraded.
async fn upgraded(kit: &Kit) -> (DuplexStream, JoinHandle<()>) {
    let (mut io, task) = kit.connect();
    let seen = say(&mut io, UPGRADE, "\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 101") && !seen.contains("close"), "{seen}");
    assert_eq!(next(&mut io, 41).await, Some(42));
    (io, task)
}

/// What the application answers `byte`; `None` if it does not.
async fn next(io: &mut DuplexStream, byte: u8) -> Option<u8> {
    io.write_u8(byte).await.ok()?;
    io.read_u8().await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_connection_lasts_as_long_as_its_upgraded_stream() {
    let (app, mut ends) = adder();
    let (mut io, task) = upgraded(&Kit::serving(app)).await;
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert!(!task.is_finished());
    assert_eq!(next(&mut io, 1).await, Some(2));
    drop(io);
    task.await.unwrap();
    let end = ends.recv().await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_an_upgraded_stream_and_then_breaks_it_off() {
    let (app, mut ends) = adder();
    let kit = Kit::serving(app);
    let (mut io, task) = upgraded(&kit).await;
    kit.status.stop();
    kit.status.drain();
    tokio::time::sleep(Duration::from_secs(23)).await;
    assert_eq!(next(&mut io, 1).await, Some(2));
    // What the server does with those that are left.
    task.abort();
    let end = ends.recv().await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(next(&mut io, 1).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_stream_outlasts_its_listener_for_the_grace() {
    let (app, mut ends) = adder();
    let kit = Kit::serving(app);
    let (mut io, task) = upgraded(&kit).await;
    let start = tokio::time::Instant::now();
    kit.publish(2, everything());
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(next(&mut io, 1).await, Some(2));
    task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 600);
    assert!(ends.recv().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_stream_that_would_not_be_let_in_any_more_is_closed_at_once() {
    let (app, mut ends) = adder();
    let kit = Kit::serving(app);
    let (mut io, task) = upgraded(&kit).await;
    let start = tokio::time::Instant::now();
    let chain = (ChainMatch::default(), anonymous(), everything());
    kit.publish_chains(2, Inspection::Addresses, vec![chain]);
    task.await.unwrap();
    let end = ends.recv().await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert_eq!(next(&mut io, 1).await, None);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn an_upgraded_stream_counts_as_a_connection_until_the_server_has_drained() {
    let (app, mut ends) = adder();
    let kit = Kit::serving(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = kit
        .at(listener)
        .max_connections(1)
        .drain_delay(Duration::ZERO)
        .drain_timeout(Duration::from_millis(20))
        .shutdown(async { stopped.await.unwrap() });
    let serving = tokio::spawn(server.serve(kit.app()));
    let mut first = TcpStream::connect(address).await.unwrap();
    say(&mut first, UPGRADE, "\r\n\r\n").await;
    let mut second = TcpStream::connect(address).await.unwrap();
    // A reset is as good as an end.
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    first.write_u8(1).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), 2);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    let end = ends.recv().await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
}
