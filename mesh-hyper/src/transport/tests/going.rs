//! Peers that go away, refuse, and limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::StatusCode;

use super::kit::{Lab, SECOND, echo, eventually, fed, post, serve, serve_until};
use super::raw::{ACK, DATA, HEADERS, PING, Peer};
use crate::body::{empty, full};
use crate::client::Options;
use crate::error::Kind;

/// `SETTINGS_MAX_CONCURRENT_STREAMS`
const STREAMS: u16 = 3;

#[tokio::test(start_paused = true)]
async fn no_call_fails_or_is_handled_twice_when_peers_go_away_every_50_requests() {
    const CALLS: u32 = 10_000;
    let (lab, acceptor) = Lab::new(|_| {});
    let seen = Arc::new(Mutex::new(HashMap::<Bytes, u32>::new()));
    let counts = seen.clone();
    serve_until(acceptor, Builder::new(), 50, move |request, respond| {
        let id = Bytes::copy_from_slice(request.headers()["x-id"].as_bytes());
        *counts.lock().unwrap().entry(id).or_default() += 1;
        echo(request, respond)
    });
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (target, next) = (lab.target.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let id = next.fetch_add(1, Ordering::SeqCst);
                if id >= CALLS {
                    return;
                }
                let mut request = post(full("body"));
                request.headers_mut().insert("x-id", id.into());
                let response = target.call(request, Options::default()).await.unwrap();
                assert_eq!(response.into_body().text().await.unwrap(), "body");
            }
        });
    }
    workers.join_all().await;
    let seen = seen.lock().unwrap();
    assert_eq!(u32::try_from(seen.len()).unwrap(), CALLS);
    assert!(seen.values().all(|times| *times == 1));
    assert!(lab.is_at_rest() && lab.dials() >= 10, "{}", lab.dials());
}

#[tokio::test(start_paused = true)]
async fn calls_above_the_last_stream_of_a_goaway_go_elsewhere_and_the_others_go_on() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let calls: Vec<_> = (0..4)
        .map(|_| tokio::spawn(lab.target.call(post(full("x")), Options::default())))
        .collect();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let mut streams = Vec::new();
    while streams.len() < 4 {
        streams.push(peer.next_of(HEADERS).await.unwrap().stream);
    }
    peer.go_away(streams[1], Reason::NO_ERROR.into()).await;
    // None has been answered, and yet the peer has not failed: there is no pause.
    let start = tokio::time::Instant::now();
    let mut second = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    for _ in 0..2 {
        let stream = second.next_of(HEADERS).await.unwrap().stream;
        second.answer(stream).await;
    }
    peer.answer(streams[0]).await;
    peer.answer(streams[1]).await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert!(start.elapsed() < SECOND);
    eventually!(lab.is_at_rest());
    assert_eq!(lab.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_goaway_of_its_connection() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let call = tokio::spawn(lab.target.call(post(full("x")), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer_head(stream).await;
    let body = call.await.unwrap().unwrap().into_body();
    peer.go_away(stream, Reason::NO_ERROR.into()).await;
    let (feed, streaming) = fed();
    tokio::time::sleep(SECOND).await;
    // Bodies that cannot be read twice go to the next connection too: nothing was written.
    let calls = [
        tokio::spawn(lab.target.call(post(streaming), Options::default())),
        tokio::spawn(lab.target.call(post(full("x")), Options::default())),
    ];
    let mut second = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    drop(feed);
    for _ in 0..2 {
        let stream = second.next_of(HEADERS).await.unwrap().stream;
        second.answer(stream).await;
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    peer.send(DATA, 1, stream, b"the rest").await;
    assert_eq!(body.text().await.unwrap(), "the rest");
    assert!(lab.is_at_rest() && lab.dials() == 2);
}

#[tokio::test(start_paused = true)]
async fn connections_that_go_away_before_there_is_a_call_are_replaced_at_once() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let call = || tokio::spawn(lab.target.call(post(full("x")), Options::default()));
    let first = call();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer(stream).await;
    assert!(first.await.unwrap().is_ok());
    peer.go_away(stream, Reason::NO_ERROR.into()).await;
    drop(peer);
    let start = tokio::time::Instant::now();
    for n in 0..5 {
        let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
        // Answers the ping, or does not, and goes: at once, or a moment later.
        let ping = loop {
            let frame = peer.read().await.unwrap();
            if frame.kind == PING {
                break frame.payload;
            }
        };
        if n > 0 {
            peer.send(PING, ACK, 0, &ping).await;
            tokio::time::sleep(SECOND / 10 * (n % 2)).await;
        }
        peer.go_away(0, Reason::NO_ERROR.into()).await;
    }
    let last = call();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer(stream).await;
    assert!(last.await.unwrap().is_ok());
    assert!(start.elapsed() < SECOND && lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_sends_before_it_closes_arrives_although_nothing_can_be_written() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let calls: Vec<_> = (0..2)
        .map(|_| tokio::spawn(lab.target.call(post(full("x")), Options::default())))
        .collect();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let first = peer.next_of(HEADERS).await.unwrap().stream;
    peer.next_of(HEADERS).await.unwrap();
    lab.network.is_deaf.store(true, Ordering::SeqCst);
    // The answer to this cannot be written.
    peer.send(PING, 0, 0, b"whatever").await;
    tokio::time::sleep(SECOND).await;
    peer.answer(first).await;
    drop(peer);
    let [answered, broken] = calls.try_into().unwrap();
    assert_eq!(answered.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(broken.await.unwrap().unwrap_err().kind(), Kind::Transport);
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_sent_again_once() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let call = || tokio::spawn(lab.target.call(post(full("x")), Options::default()));
    let first = call();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.reset(stream, Reason::REFUSED_STREAM.into()).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer(stream).await;
    assert!(first.await.unwrap().is_ok());
    let second = call();
    for _ in 0..2 {
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        peer.reset(stream, Reason::REFUSED_STREAM.into()).await;
    }
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Transport);
    assert!(error.to_string().ends_with("it refused the stream"), "{error}");
    assert_eq!(error.attempts(), 2);
    assert!(lab.is_at_rest() && lab.dials() == 1);
}

#[tokio::test(start_paused = true)]
async fn other_resets_are_not_sent_again() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let call = tokio::spawn(lab.target.call(post(full("x")), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let table = [
        (Reason::CANCEL, Kind::Cancelled),
        (Reason::INTERNAL_ERROR, Kind::Transport),
        (Reason::ENHANCE_YOUR_CALM, Kind::Transport),
    ];
    let mut calls = vec![call];
    for (reason, kind) in table {
        let call = calls.pop().unwrap();
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        peer.reset(stream, reason.into()).await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.http2_code()), (kind, Some(reason.into())));
        calls.push(tokio::spawn(lab.target.call(post(full("x")), Options::default())));
    }
    let last = peer.next_of(HEADERS).await.unwrap().stream;
    drop(peer);
    let error = calls.pop().unwrap().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.http2_code(), last), (Kind::Transport, None, 7));
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_share_the_single_streams_of_bounded_connections() {
    let (lab, acceptor) = Lab::new(|config| config.connections.per_endpoint = 4);
    let mut builder = Builder::new();
    builder.max_concurrent_streams(1);
    let most = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let counts = most.clone();
    serve(acceptor, builder, move |request, respond| {
        let counts = counts.clone();
        async move {
            let now = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
            counts.1.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(SECOND / 100).await;
            echo(request, respond).await;
            counts.0.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let call = lab.target.call(post(full("x")), Options::default());
        calls.spawn(async move { call.await.unwrap().into_body().text().await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|answer| answer == "x"));
    assert_eq!((lab.dials(), most.1.load(Ordering::SeqCst)), (4, 4));
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn the_peer_may_change_its_stream_limit_at_any_time() {
    let (lab, mut acceptor) = Lab::new(|config| config.connections.per_endpoint = 1);
    let mut calls: Vec<_> =
        (0..4).map(|_| tokio::spawn(lab.target.call(post(empty()), Options::default()))).collect();
    let io = acceptor.recv().await.unwrap();
    let mut peer = Peer::accept(io, &[(STREAMS, 1)]).await;
    let first = peer.next_of(HEADERS).await.unwrap().stream;
    assert!(quiet(&mut peer).await);
    peer.settings(&[(STREAMS, 3)]).await;
    let second = peer.next_of(HEADERS).await.unwrap().stream;
    let third = peer.next_of(HEADERS).await.unwrap().stream;
    assert!(quiet(&mut peer).await);
    peer.settings(&[(STREAMS, 0)]).await;
    assert!(quiet(&mut peer).await);
    for stream in [first, second, third] {
        peer.answer(stream).await;
    }
    assert!(quiet(&mut peer).await);
    peer.settings(&[(STREAMS, 1)]).await;
    let last = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer(last).await;
    for call in calls.drain(..) {
        assert!(call.await.unwrap().is_ok());
    }
    assert!(lab.is_at_rest() && lab.dials() == 1);
}

/// Whether no request arrives within a second.
async fn quiet(peer: &mut Peer) -> bool {
    tokio::time::timeout(SECOND, peer.next_of(HEADERS)).await.is_err()
}
