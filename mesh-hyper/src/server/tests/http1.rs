//! HTTP/1.1, in bytes.

use std::time::Duration;

use http::Response;
use mesh_core::route::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::kit::{App, Kit, routes};

/// Sends `request` and reads until `ends` shows.
async fn say(io: &mut DuplexStream, request: &str, ends: &str) -> String {
    io.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(ends) {
        let mut some = [0; 1024];
        let count = io.read(&mut some).await.unwrap();
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&some[..count]);
    }
    String::from_utf8(seen).unwrap()
}

fn echo() -> App {
    App::new(|request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        Response::new(crate::full(format!("{host}{} end", request.uri().path())))
    })
}

#[tokio::test]
async fn one_connection_carries_requests_one_after_the_other() {
    let (mut io, _) = Kit::serving(echo()).connect();
    let first = say(&mut io, "GET /a HTTP/1.1\r\nhost: one\r\n\r\n", "end").await;
    assert!(first.starts_with("HTTP/1.1 200 OK") && first.ends_with("one/a end"), "{first}");
    // The absolute form says it all (RFC 9112 §3.2.2).
    let second = "GET http://two/b HTTP/1.1\r\nhost: three\r\n\r\n";
    assert!(say(&mut io, second, "end").await.ends_with("two/b end"));
}

#[tokio::test]
async fn requests_that_are_for_nobody_or_for_two_are_refused() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "GET http://user@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let (mut io, _) = Kit::serving(echo()).connect();
        let seen = say(&mut io, request, "\r\n\r\n").await;
        assert!(seen.contains(" 400 Bad Request"), "{request:?} {seen}");
    }
}

#[tokio::test]
async fn new_routes_reach_a_connection_that_is_open() {
    let kit = Kit::serving(echo());
    let (mut io, _) = kit.connect();
    let request = "GET /a HTTP/1.1\r\nhost: one\r\n\r\n";
    assert!(say(&mut io, request, "end").await.starts_with("HTTP/1.1 200"));
    kit.publish(1, routes(&[("/b", Action::NonForwarding)], &[]));
    assert!(say(&mut io, request, "request").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn upgrades_pass() {
    let app = App::new(|mut request| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let io = upgraded.await.unwrap();
            let mut io = hyper_util::rt::TokioIo::new(io);
            let mut byte = [0];
            io.read_exact(&mut byte).await.unwrap();
            io.write_all(&[byte[0] + 1]).await.unwrap();
        });
        let mut response = Response::new(crate::empty());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        response.headers_mut().insert("upgrade", "next".parse().unwrap());
        response
    });
    let (mut io, _) = Kit::serving(app).connect();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: next\r\n\r\n";
    let seen = say(&mut io, request, "\r\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 101"), "{seen}");
    io.write_all(&[41]).await.unwrap();
    assert_eq!(io.read_u8().await.unwrap(), 42);
}

#[tokio::test]
async fn smuggled_lengths_are_refused() {
    for fields in [
        "content-length: 1\r\ncontent-length: 2",
        "transfer-encoding: chunked, identity",
        "content-length: +1",
    ] {
        let (mut io, _) = Kit::serving(echo()).connect();
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
        let seen = say(&mut io, &request, "\r\n\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 400"), "{fields} {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    for beginning in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let (mut io, task) = Kit::serving(echo()).connect();
        let start = tokio::time::Instant::now();
        io.write_all(beginning.as_bytes()).await.unwrap();
        task.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(31), "{beginning:?}");
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{beginning:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_asks_its_clients_to_go() {
    let kit = Kit::serving(echo());
    let (mut io, task) = kit.connect();
    let request = "GET /a HTTP/1.1\r\nhost: one\r\n\r\n";
    let before = say(&mut io, request, "end").await;
    assert!(!before.contains("connection: close"), "{before}");
    kit.status.stop();
    let after = say(&mut io, request, "end").await;
    assert!(after.contains("connection: close\r\n"), "{after}");
    task.await.unwrap();
}
