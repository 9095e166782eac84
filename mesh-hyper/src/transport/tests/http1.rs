//! HTTP/1.1 upstreams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh_core::cluster::{Config, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{Acceptor, Lab, SECOND, eventually, fed, post};
use crate::body::{empty, full};
use crate::client::Options;
use crate::error::Kind;

fn http1(config: &mut Config) {
    config.upstream = Upstream::Http1;
}

type Answered = Result<Response<Full<Bytes>>, hyper::Error>;

async fn echo(request: Request<Incoming>) -> Answered {
    assert_eq!(request.headers()["host"], "backend");
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(body));
    match &*path {
        "/close" => drop(response.headers_mut().insert("connection", "close".parse().unwrap())),
        "/none" => *response.status_mut() = http::StatusCode::NO_CONTENT,
        "/large" => *response.body_mut() = Full::new(vec![7; 1 << 20].into()),
        _ => {}
    }
    Ok(response)
}

fn serve(mut acceptor: Acceptor) {
    tokio::spawn(async move {
        while let Some(io) = acceptor.recv().await {
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(io), service_fn(echo)));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_unless_it_cannot_be() {
    let (lab, acceptor) = Lab::new(http1);
    serve(acceptor);
    let call = |path: &'static str, method: Method| {
        let request = Request::builder().method(method).uri(path).body(full("hi")).unwrap();
        lab.target.call(request, Options::default())
    };
    for _ in 0..20 {
        let response = call("/", Method::POST).await.unwrap();
        assert_eq!(response.into_body().text().await.unwrap(), "hi");
        let response = call("/none", Method::POST).await.unwrap();
        assert!(response.status() == 204 && response.body().is_end_stream());
        let response = call("/", Method::HEAD).await.unwrap();
        assert!(response.headers()["content-length"] == "2" && response.body().is_end_stream());
    }
    assert_eq!(lab.dials(), 1);
    for dials in 2..4 {
        let response = call("/close", Method::POST).await.unwrap();
        assert_eq!(response.into_body().text().await.unwrap(), "hi");
        assert_eq!(call("/", Method::POST).await.unwrap().status(), 200);
        assert_eq!(lab.dials(), dials);
    }
    // A response that nobody reads costs its connection.
    drop(call("/large", Method::POST).await.unwrap());
    let response = call("/", Method::POST).await.unwrap();
    assert_eq!(response.into_body().text().await.unwrap(), "hi");
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_share_bounded_connections() {
    let (lab, acceptor) = Lab::new(|config| {
        http1(config);
        config.connections.per_endpoint = 5;
    });
    serve(acceptor);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let call = lab.target.call(post(full("x")), Options::default());
        calls.spawn(async move { call.await.unwrap().into_body().text().await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|answer| answer == "x"));
    eventually!(lab.is_at_rest());
    assert!((2..=5).contains(&lab.dials()), "{}", lab.dials());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_peer_has_closed_fails_no_call() {
    let (lab, mut acceptor) = Lab::new(http1);
    let served = Arc::new(AtomicU32::new(0));
    let count = served.clone();
    tokio::spawn(async move {
        // Each connection answers one request and is closed without a word.
        while let Some(mut io) = acceptor.recv().await {
            let mut head = [0; 4096];
            let _ = io.read(&mut head).await.unwrap();
            io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for _ in 0..50 {
        let response = lab.target.call(post(empty()), Options::default()).await.unwrap();
        assert_eq!(response.into_body().text().await.unwrap(), "ok");
    }
    assert_eq!(served.load(Ordering::SeqCst), 50);
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_hands_the_stream_over() {
    let (lab, mut acceptor) = Lab::new(http1);
    tokio::spawn(async move {
        let mut io = acceptor.recv().await.unwrap();
        let mut head = [0; 4096];
        let _ = io.read(&mut head).await.unwrap();
        let switch =
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n";
        io.write_all(switch).await.unwrap();
        let mut ping = [0; 4];
        io.read_exact(&mut ping).await.unwrap();
        io.write_all(&ping).await.unwrap();
    });
    let mut request = post(empty());
    for (name, value) in [("connection", "upgrade"), ("upgrade", "own")] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    let response = lab.target.call(request, Options::default()).await.unwrap();
    assert_eq!(response.status(), 101);
    let mut io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    io.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    io.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"ping");
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_apart() {
    let (lab, mut acceptor) = Lab::new(http1);
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let io = acceptor.recv().await.unwrap();
    feed.send(Err("the disk is on fire".into())).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Body, "{error}");
    assert!(error.to_string().contains("the disk is on fire"), "{error}");
    drop(io);
    let call = lab.target.call(post(empty()), Options::default().timeout(SECOND));
    let call = tokio::spawn(call);
    let silent = acceptor.recv().await.unwrap();
    assert_eq!(call.await.unwrap().unwrap_err().kind(), Kind::Deadline);
    drop(silent);
    eventually!(lab.is_at_rest());
}
