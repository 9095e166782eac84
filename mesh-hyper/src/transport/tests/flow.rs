//! Bodies in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;

use super::kit::{Lab, Repeat, SECOND, drain, echo, eventually, fed, post, send, serve};
use super::raw::{DATA, HEADERS, Peer, RST_STREAM, WINDOW_UPDATE};
use crate::body::{empty, full};
use crate::client::Options;
use crate::error::Kind;

/// Megabytes each way.
const MEGABYTES: usize = 64;

static MEGABYTE: [u8; 1 << 20] = [7; 1 << 20];

#[tokio::test(start_paused = true)]
async fn a_large_stream_and_a_thousand_calls_share_a_connection() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, mut respond| async move {
        if request.uri().path() != "/large" {
            return echo(request, respond).await;
        }
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            send(&mut stream, data, false).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
    });
    let (body, _) = Repeat::new(&MEGABYTE, MEGABYTES);
    let large = Request::post("/large").body(body).unwrap();
    let large = tokio::spawn(lab.target.call(large, Options::default()));
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1_000u32 {
        let call = lab.target.call(post(full(n.to_be_bytes().to_vec())), Options::default());
        calls.spawn(async move {
            let answer = call.await.unwrap().into_body().collected().await.unwrap();
            assert_eq!(answer.content, n.to_be_bytes()[..]);
        });
    }
    let mut body = large.await.unwrap().unwrap().into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame.unwrap().into_data().unwrap().len();
    }
    calls.join_all().await;
    assert_eq!(received, MEGABYTES << 20);
    assert!(lab.is_at_rest() && lab.dials() <= 10);
}

#[tokio::test(start_paused = true)]
async fn small_messages_to_a_reader_that_pauses_do_not_break_the_connection() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, mut respond| async move {
        drain(&mut request.into_body()).await;
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        for _ in 0..10_000 {
            send(&mut stream, Bytes::from_static(b"x"), false).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
    });
    let response = lab.target.call(post(empty()), Options::default()).await.unwrap();
    tokio::time::sleep(SECOND).await;
    let body = response.into_body().collected().await.unwrap();
    assert_eq!((body.content.len(), lab.dials()), (10_000, 1));
}

#[tokio::test(start_paused = true)]
async fn small_messages_arrive_at_a_peer_that_pauses() {
    let (lab, acceptor) = Lab::new(|_| {});
    let mut builder = Builder::new();
    builder.data_frame_budget(1 << 30);
    serve(acceptor, builder, |request, mut respond| async move {
        tokio::time::sleep(SECOND).await;
        let total = drain(&mut request.into_body()).await;
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        send(&mut stream, total.to_string().into(), true).await;
    });
    let (body, _) = Repeat::new(b"x", 10_000);
    let response = lab.target.call(post(body), Options::default()).await.unwrap();
    assert_eq!(response.into_body().text().await.unwrap(), "10000");
    assert_eq!(lab.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_go_to_and_fro() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            send(&mut stream, data, false).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
    });
    // On a connection that is there already.
    drop(lab.target.call(post(empty()), Options::default()).await.unwrap());
    let (feed, body) = fed();
    let call = lab.target.call(post(body), Options::default());
    // Sent although nobody polls for the response.
    feed.send(Ok(Frame::data(Bytes::from_static(b"0")))).await.unwrap();
    feed.send(Ok(Frame::data(Bytes::from_static(b"1")))).await.unwrap();
    let mut body = call.await.unwrap().into_body();
    let mut seen = 0;
    while seen < 2 {
        seen += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    for n in 0..10_000u32 {
        let ping = Bytes::from(n.to_string());
        feed.send(Ok(Frame::data(ping.clone()))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ping);
    }
    drop(feed);
    assert!(body.frame().await.is_none());
    assert!(lab.is_at_rest());
}

/// Counts how often a request body is asked for a frame.
struct Asked<B>(B, Arc<AtomicU32>);

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Asked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_asked_twice_per_message_once_for_it_and_once_for_the_next() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let asked = Arc::new(AtomicU32::new(0));
    let body = Asked(body, asked.clone());
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer_head(stream).await;
    let response = call.await.unwrap().unwrap();
    tokio::time::sleep(SECOND).await;
    let before = asked.load(Ordering::SeqCst);
    for n in 1..=100 {
        feed.send(Ok(Frame::data(Bytes::from_static(b"ping")))).await.unwrap();
        assert_eq!(peer.next_of(DATA).await.unwrap().payload, "ping");
        // Nobody else has anything to do any more.
        tokio::time::sleep(SECOND).await;
        assert_eq!(asked.load(Ordering::SeqCst) - before, 2 * n);
    }
    drop(response);
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_before_the_request_has_been_read() {
    for resets in [true, false] {
        let (lab, mut acceptor) = Lab::new(|_| {});
        let (body, taken) = Repeat::new(&MEGABYTE, 64);
        let call = tokio::spawn(lab.target.call(post(body), Options::default()));
        let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        peer.answer(stream).await;
        if resets {
            peer.reset(stream, Reason::NO_ERROR.into()).await;
        }
        let response = call.await.unwrap().unwrap();
        assert_eq!(response.into_body().collected().await.unwrap().content, "");
        assert!(lab.is_at_rest() && taken.load(Ordering::SeqCst) <= 2);
        if !resets {
            let reset = peer.next_of(RST_STREAM).await.unwrap();
            assert_eq!(reset.payload[..], u32::from(Reason::CANCEL).to_be_bytes());
        }
        let next = tokio::spawn(lab.target.call(post(empty()), Options::default()));
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        peer.answer(stream).await;
        assert_eq!((next.await.unwrap().unwrap().status(), lab.dials()), (StatusCode::OK, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_stops_the_body() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (body, taken) = Repeat::new(&MEGABYTE[..1024], usize::MAX);
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    tokio::time::sleep(SECOND).await;
    // The default window, and one frame beyond.
    assert_eq!(taken.load(Ordering::SeqCst), 64);
    for target in [0, stream] {
        peer.send(WINDOW_UPDATE, 0, target, &10_240u32.to_be_bytes()).await;
    }
    eventually!(taken.load(Ordering::SeqCst) > 64);
    tokio::time::sleep(SECOND).await;
    assert_eq!(taken.load(Ordering::SeqCst), 74);
    call.abort();
    let reset = peer.next_of(RST_STREAM).await.unwrap();
    assert_eq!(reset.payload[..], u32::from(Reason::CANCEL).to_be_bytes());
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_fails_resets_the_stream_and_is_named() {
    for answered in [false, true] {
        let (lab, mut acceptor) = Lab::new(|_| {});
        let (feed, body) = fed();
        let call = tokio::spawn(lab.target.call(post(body), Options::default()));
        let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
        let stream = peer.next_of(HEADERS).await.unwrap().stream;
        let error = if answered {
            peer.answer_head(stream).await;
            let body = call.await.unwrap().unwrap().into_body();
            feed.send(Err("the disk is on fire".into())).await.unwrap();
            body.collected().await.unwrap_err()
        } else {
            feed.send(Err("the disk is on fire".into())).await.unwrap();
            call.await.unwrap().unwrap_err()
        };
        assert_eq!(error.kind(), Kind::Body);
        assert_eq!(error.to_string(), "the request body failed: the disk is on fire");
        let reset = peer.next_of(RST_STREAM).await.unwrap();
        assert_eq!(reset.payload[..], u32::from(Reason::CANCEL).to_be_bytes());
        eventually!(lab.is_at_rest());
    }
}

/// Panics when it is polled for the second time.
struct Panics(u32);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0 += 1;
        assert!(self.0 < 3, "a bug of the application's");
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_panics_fails_its_call_only() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), echo);
    let error = lab.target.call(post(Panics(0)), Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the request body failed: it panicked");
    assert!(lab.target.call(post(empty()), Options::default()).await.is_ok());
    assert_eq!(lab.dials(), 1);
}
