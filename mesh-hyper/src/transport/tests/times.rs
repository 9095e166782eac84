//! Deadlines, dead peers, and the age of connections: all under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use mesh_core::cell::Cell;
use mesh_core::cluster::Keepalive;
use mesh_core::snapshot::Root;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::kit::{Lab, SECOND, echo, eventually, post, send, serve, snapshot, target};
use super::raw::{HEADERS, Peer, RST_STREAM};
use crate::body::{empty, full};
use crate::client::Options;
use crate::error::Kind;

fn within(seconds: u32) -> Options {
    Options::default().timeout(SECOND * seconds)
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_waiting_for_configuration() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), echo);
    let root = Arc::new(Cell::empty());
    let unknown = target(root.clone(), &lab.context);
    let start = Instant::now();
    let error = unknown.call(post(empty()), within(3)).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Deadline, 3));
    assert_eq!(error.to_string(), "xds:///backend: no configuration yet");
    let call = tokio::spawn(unknown.call(post(empty()), within(3)));
    tokio::time::sleep(SECOND).await;
    root.publish(Arc::new(Root::Ready(snapshot(&lab.cluster, |_| {}))));
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_connecting() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let start = Instant::now();
    let error = lab.target.call(post(empty()), within(3)).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Deadline, 3));
    assert_eq!(error.to_string(), "cluster backend: still connecting");
    assert!(acceptor.recv().await.is_some() && lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_answer_and_its_body() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let call = tokio::spawn(lab.target.call(post(empty()), within(3)));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    let start = Instant::now();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Deadline, 3));
    let why = "xds:///backend: the deadline passed before the answer of 127.0.0.1:1000 of cluster backend";
    assert_eq!(error.to_string(), why);
    assert_eq!(peer.next_of(RST_STREAM).await.unwrap().stream, stream);

    let call = tokio::spawn(lab.target.call(post(empty()), within(3)));
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer_head(stream).await;
    let body = call.await.unwrap().unwrap().into_body();
    let start = Instant::now();
    let error = body.collected().await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Deadline, 3));
    assert_eq!(peer.next_of(RST_STREAM).await.unwrap().stream, stream);
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_response_that_never_pauses() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        while std::future::poll_fn(|cx| std::task::Poll::Ready(stream.poll_reset(cx).is_pending()))
            .await
        {
            send(&mut stream, Bytes::from_static(&[0; 10_000]), false).await;
        }
    });
    let response = lab.target.call(post(empty()), within(1)).await.unwrap();
    let mut body = response.into_body();
    let error = loop {
        match body.frame().await.unwrap() {
            // The clock stands still unless somebody moves it while all are busy.
            Ok(_) => tokio::time::advance(SECOND / 1_000).await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Deadline);
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_route_bounds_the_call_and_the_upstream_is_told() {
    let lab = Lab::with(
        1,
        |_| {},
        |route| {
            route.timeouts.max_stream_duration = Some(SECOND * 2);
        },
    );
    let mut acceptor = lab.listen(0);
    let grpc = |timeout: Option<&'static str>| {
        let mut request = post(full("x"));
        let fields = request.headers_mut();
        fields.insert("content-type", HeaderValue::from_static("application/grpc"));
        if let Some(timeout) = timeout {
            fields.insert("grpc-timeout", HeaderValue::from_static(timeout));
        }
        request
    };
    let start = Instant::now();
    let call = tokio::spawn(lab.target.call(grpc(Some("9S")), within(9)));
    let io = acceptor.recv().await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    let mut peer = h2::server::handshake(io).await.unwrap();
    let (request, _respond) = peer.accept().await.unwrap().unwrap();
    // What is left after waiting for the connection.
    assert_eq!(request.headers()["grpc-timeout"], "1500m");
    tokio::spawn(async move { while peer.accept().await.is_some() {} });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Deadline, 2));
}

#[tokio::test(start_paused = true)]
async fn endless_deadlines_are_no_deadlines() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND).await;
        echo(request, respond).await;
    });
    let options = Options::default().timeout(Duration::MAX);
    assert!(lab.target.call(post(empty()), options).await.is_ok());
    assert!(lab.target.call(post(empty()), options).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_fails_at_once_and_says_why() {
    let lab = Lab::with(1, |_| {}, |_| {});
    let start = Instant::now();
    for _ in 0..3 {
        let error = lab.target.call(post(empty()), Options::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NoEndpoint);
        let why = "cluster backend: cannot connect to 127.0.0.1:1000: connection refused";
        assert_eq!(error.to_string(), why);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    // A patient call waits until somebody listens.
    let call = tokio::spawn(lab.target.call(post(empty()), within(60).wait_for_ready(true)));
    tokio::time::sleep(SECOND * 5).await;
    serve(lab.listen(0), Builder::new(), echo);
    assert!(call.await.unwrap().is_ok());
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn peers_that_do_not_speak_http_2_are_named() {
    const ALERT: &[u8] = &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
    for (mode, why) in [
        ("silent", "127.0.0.1:1000: no answer to the handshake within 5s"),
        ("closes", "127.0.0.1:1000: HTTP/2 handshake: "),
        ("tls", "127.0.0.1:1000: HTTP/2 handshake: "),
        ("http1", "127.0.0.1:1000: HTTP/2 handshake: "),
    ] {
        let (lab, mut acceptor) = Lab::new(|_| {});
        let peer = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Some(mut io) = acceptor.recv().await {
                match mode {
                    "silent" => {}
                    "closes" => continue,
                    "tls" => io.write_all(ALERT).await.unwrap(),
                    _ => io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap(),
                }
                held.push(io);
            }
        });
        let error = lab.target.call(post(empty()), Options::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NoEndpoint, "{mode}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cluster backend: {why}")), "{mode}: {text}");
        assert!(lab.is_at_rest());
        peer.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_noticed_by_keepalive() {
    let keepalive = Keepalive { interval: SECOND * 10, timeout: SECOND * 2 };
    let (lab, mut acceptor) = Lab::new(|config| config.connections.keepalive = Some(keepalive));
    let call = tokio::spawn(lab.target.call(post(empty()), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    peer.next_of(HEADERS).await.unwrap();
    let start = Instant::now();
    // From now on nobody answers.
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::Transport, 12));
    eventually!(lab.is_at_rest());
    drop(peer);
    serve(acceptor, Builder::new(), echo);
    assert!(lab.target.call(post(empty()), within(9)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_opened_again_on_demand() {
    let (lab, acceptor) = Lab::new(|config| config.connections.idle_timeout = Some(SECOND * 10));
    serve(acceptor, Builder::new(), echo);
    assert!(lab.target.call(post(empty()), Options::default()).await.is_ok());
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(lab.dials(), 1);
    assert!(lab.target.call(post(empty()), Options::default()).await.is_ok());
    assert_eq!(lab.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_calls_until_its_successor_is_there() {
    let (lab, mut acceptor) = Lab::new(|config| config.connections.max_age = Some(SECOND * 10));
    let call = || tokio::spawn(lab.target.call(post(empty()), within(1)));
    let first = call();
    let mut old = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = old.next_of(HEADERS).await.unwrap().stream;
    old.answer(stream).await;
    assert!(first.await.unwrap().is_ok());
    let successor = acceptor.recv().await.unwrap();
    // It is being connected to; the old one serves.
    let between = call();
    let stream = old.next_of(HEADERS).await.unwrap().stream;
    let mut new = Peer::accept(successor, &[]).await;
    tokio::spawn(async move {
        while let Some(head) = new.next_of(HEADERS).await {
            new.answer(head.stream).await;
        }
    });
    tokio::time::sleep(SECOND / 2).await;
    assert!(call().await.unwrap().is_ok());
    old.answer(stream).await;
    assert!(between.await.unwrap().is_ok());
    // Its last call has ended: it closes.
    while old.next().await.is_some() {}
    assert_eq!(lab.dials(), 2);
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_replaced_after_so_many_requests() {
    let (lab, acceptor) = Lab::new(|config| config.connections.max_requests = Some(10));
    serve(acceptor, Builder::new(), echo);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let call = lab.target.call(post(full("x")), within(5));
        calls.spawn(async move { call.await.unwrap().into_body().text().await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 100);
    // Ten, and perhaps one for what comes next.
    assert!(matches!(lab.dials(), 10 | 11), "{}", lab.dials());
    assert!(lab.is_at_rest());
}

/// A gRPC call that says itself how long it waits, and what the server is told of that.
async fn told(
    stated: &'static str,
    seconds: Option<u32>,
    life: Option<Duration>,
) -> (String, u128) {
    let (lab, acceptor) = Lab::new(|_| {});
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    serve(acceptor, Builder::new(), move |request, respond| {
        tell.send(request.headers()["grpc-timeout"].to_str().unwrap().to_owned()).unwrap();
        async move {
            let _respond: h2::server::SendResponse<Bytes> = respond;
            std::future::pending().await
        }
    });
    lab.pool().demand();
    eventually!(lab.pool().connected() == 1);
    let root = Root::Ready(snapshot(&lab.cluster, |route| {
        route.timeouts.max_stream_duration = life;
    }));
    let target = target(Arc::new(Cell::new(Arc::new(root))), &lab.context);
    let mut request = post(empty());
    let fields = [("content-type", "application/grpc"), ("grpc-timeout", stated)];
    let headers = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    *request.headers_mut() = headers.into_iter().collect();
    let start = Instant::now();
    let options = seconds.map_or(Options::default(), within);
    let error = target.call(request, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    (told.recv().await.unwrap(), start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn what_a_grpc_call_says_of_its_time_is_kept_and_no_more_than_there_is() {
    assert_eq!(told("50m", Some(1), None).await, ("50m".into(), 1_000));
    assert_eq!(told("50m", None, Some(SECOND * 5)).await, ("50m".into(), 5_000));
    assert_eq!(told("10S", Some(1), None).await, ("1S".into(), 1_000));
    assert_eq!(told("10S", Some(1), Some(SECOND * 7 / 100)).await, ("70m".into(), 70));
    assert_eq!(told("10S", Some(10), None).await, ("10S".into(), 10_000));
    assert_eq!(told("nonsense", Some(1), None).await, ("1S".into(), 1_000));
}
