//! Streamed request bodies that come back unprocessed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http_body::Frame;
use mesh_core::request::RoutingPriority;

use super::kit::{Acceptor, Lab, Repeat, SECOND, echo, eventually, fed, post, serve, serve_until};
use super::raw::{DATA, END_STREAM, HEADERS, Peer};
use crate::body::empty;
use crate::client::Options;
use crate::error::Kind;

/// The next connection of `acceptor` gets an echo.
async fn serve_next(mut acceptor: Acceptor) {
    let (sender, offers) = tokio::sync::mpsc::unbounded_channel();
    sender.send(acceptor.recv().await.unwrap()).unwrap();
    serve(offers, Builder::new(), echo);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_sent_in_part_is_sent_again_in_full() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    peer.next_of(HEADERS).await.unwrap();
    feed.send(Ok(Frame::data(Bytes::from_static(b"one ")))).await.unwrap();
    assert_eq!(peer.next_of(DATA).await.unwrap().payload, "one ");
    feed.send(Ok(Frame::data(Bytes::from_static(b"two ")))).await.unwrap();
    peer.go_away(0, Reason::NO_ERROR.into()).await;
    serve_next(acceptor).await;
    feed.send(Ok(Frame::data(Bytes::from_static(b"three")))).await.unwrap();
    drop(feed);
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.into_body().text().await.unwrap(), "one two three");
    assert!(lab.is_at_rest() && lab.dials() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_sent_to_its_end_is_sent_again_in_full() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    for part in ["one ", "two"] {
        feed.send(Ok(Frame::data(Bytes::from(part)))).await.unwrap();
        assert_eq!(peer.next_of(DATA).await.unwrap().payload, part);
    }
    drop(feed);
    assert_eq!(peer.next_of(DATA).await.unwrap().flags, END_STREAM);
    peer.go_away(0, Reason::NO_ERROR.into()).await;
    serve_next(acceptor).await;
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.body().attempts(), 2);
    assert_eq!(response.into_body().text().await.unwrap(), "one two");
    assert!(lab.is_at_rest() && lab.dials() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_back_twice_is_sent_a_third_time() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let mut all = String::new();
    for part in ["one ", "two ", "three"] {
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        feed.send(Ok(Frame::data(Bytes::from(part)))).await.unwrap();
        all.push_str(part);
        let mut seen = Vec::new();
        while seen.len() < all.len() {
            seen.extend_from_slice(&peer.next_of(DATA).await.unwrap().payload);
        }
        assert_eq!(seen, all.as_bytes());
        match part {
            "one " => peer.reset(stream, Reason::REFUSED_STREAM.into()).await,
            "two " => {
                peer.go_away(0, Reason::NO_ERROR.into()).await;
                peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
            }
            _ => peer.answer(stream).await,
        }
    }
    assert_eq!(call.await.unwrap().unwrap().body().attempts(), 3);
    eventually!(feed.is_closed() && lab.is_at_rest());
    assert_eq!(lab.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_which_too_much_is_gone_fails_with_the_peers_reason() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (body, _) = Repeat::new(b"x", 2_000);
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    for _ in 0..1_500 {
        peer.next_of(DATA).await.unwrap();
    }
    peer.reset(stream, Reason::REFUSED_STREAM.into()).await;
    let error = call.await.unwrap().unwrap_err();
    let code = Some(Reason::REFUSED_STREAM.into());
    assert_eq!((error.kind(), error.http2_code()), (Kind::Transport, code));
    assert!(lab.is_at_rest() && lab.dials() == 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_let_go_of_when_the_peer_answers() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    let content = Arc::new(*b"content");
    let frame = Frame::data(Bytes::from_owner(Content(content.clone())));
    feed.send(Ok(frame)).await.unwrap();
    assert_eq!(peer.next_of(DATA).await.unwrap().payload, "content");
    tokio::time::sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&content), 2);
    peer.answer_head(stream).await;
    let response = call.await.unwrap().unwrap();
    // The body has more to come, and nobody has asked it for that.
    eventually!(Arc::strong_count(&content) == 1);
    assert!(!feed.is_closed());
    drop(response);
    eventually!(feed.is_closed() && lab.is_at_rest());
}

/// A body of a few frames, none of which is there at once.
struct Halting(u32);

impl http_body::Body for Halting {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0 += 1;
        match self.0 {
            1 | 3 | 5 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            2 | 4 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half"))))),
            _ => Poll::Ready(None),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_streamed_body_is_lost_or_handled_twice_when_peers_go_away_every_50_requests() {
    const CALLS: u32 = 4_000;
    let (lab, acceptor) = Lab::new(|_| {});
    let handled = Arc::new(AtomicU32::new(0));
    let count = handled.clone();
    serve_until(acceptor, Builder::new(), 50, move |request, respond| {
        count.fetch_add(1, Ordering::SeqCst);
        echo(request, respond)
    });
    let left = Arc::new(AtomicU32::new(CALLS));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (target, left) = (lab.target.clone(), left.clone());
        workers.spawn(async move {
            let mut again = 0;
            let one_less = |left: u32| left.checked_sub(1);
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
                let response = target.call(post(Halting(0)), Options::default()).await.unwrap();
                again += response.body().attempts() - 1;
                assert_eq!(response.into_body().text().await.unwrap(), "halfhalf");
            }
            again
        });
    }
    let again: u32 = workers.join_all().await.iter().sum();
    assert_eq!(handled.load(Ordering::SeqCst), CALLS);
    assert!(again > 0 && lab.is_at_rest());
}

/// Bytes of which a test holds the other end.
struct Content(Arc<[u8; 7]>);

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_bound_by_the_limit_on_waiting_requests() {
    let (lab, mut acceptor) = Lab::new(|config| config.limits.max_pending = 1);
    let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
    let mut calls = vec![call()];
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    peer.next_of(HEADERS).await.unwrap();
    for _ in 0..2 {
        calls.push(call());
        peer.next_of(HEADERS).await.unwrap();
    }
    peer.go_away(0, Reason::NO_ERROR.into()).await;
    eventually!(calls.iter().filter(|call| call.is_finished()).count() == 2);
    assert_eq!(lab.cluster.usage().pending(RoutingPriority::Default), 1);
    serve_next(acceptor).await;
    let mut kinds = Vec::new();
    for call in calls {
        kinds.push(call.await.unwrap().map(drop).map_err(|error| error.kind()));
    }
    kinds.sort_by_key(Result::is_err);
    assert_eq!(kinds, [Ok(()), Err(Kind::Overloaded), Err(Kind::Overloaded)]);
    assert!(lab.is_at_rest());
}
