//! Bodies in both directions, of all shapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;

use super::kit::{Lab, Repeat, SECOND, drain, echo, eventually, fed, post, send, serve};
use super::raw::{DATA, END_STREAM, HEADERS, Peer, RST_STREAM, WINDOW_UPDATE};
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

#[tokio::test(start_paused = true)]
async fn request_trailers_and_empty_frames_arrive() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, mut respond| async move {
        let mut body = request.into_body();
        let total = drain(&mut body).await;
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        send(&mut stream, format!("{total} {}", trailers.len()).into(), true).await;
    });
    let data = |text: &'static str| Frame::data(Bytes::from_static(text.as_bytes()));
    let trailers = || {
        let value = HeaderValue::from_static("AAE");
        Frame::trailers(HeaderMap::from_iter([(http::HeaderName::from_static("x-bin"), value)]))
    };
    let table: [(Vec<Frame<Bytes>>, &str); 7] = [
        (vec![], "0 0"),
        (vec![data("")], "0 0"),
        (vec![data(""), data(""), data("ab")], "2 0"),
        (vec![data("ab"), data("")], "2 0"),
        (vec![trailers()], "0 1"),
        (vec![data("ab"), trailers()], "2 1"),
        (vec![data("ab"), data("c"), data(""), trailers()], "3 1"),
    ];
    for (frames, want) in table {
        for waits in [false, true] {
            let (feed, slow) = fed();
            let (frames, call) = if waits {
                (frames.iter().map(copy).collect(), lab.target.call(post(slow), Options::default()))
            } else {
                let ready = futures(frames.iter().map(copy).collect());
                (Vec::new(), lab.target.call(post(ready), Options::default()))
            };
            tokio::spawn(async move {
                for frame in frames {
                    feed.send(Ok(frame)).await.ok();
                }
            });
            let answer = call.await.unwrap().into_body().text().await.unwrap();
            assert_eq!(answer, want, "waits: {waits}");
        }
    }
    assert!(lab.is_at_rest());
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, trailers) => Frame::trailers(trailers.cloned().unwrap_or_default()),
    }
}

/// A body whose frames are all there.
fn futures(frames: Vec<Frame<Bytes>>) -> Ready {
    Ready(frames.into())
}

struct Ready(std::collections::VecDeque<Frame<Bytes>>);

impl http_body::Body for Ready {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[tokio::test(start_paused = true)]
async fn responses_of_all_shapes_arrive() {
    let (lab, acceptor) = Lab::new(|_| {});
    serve(acceptor, Builder::new(), |request, mut respond| async move {
        let mut response = Response::new(());
        match request.uri().path() {
            "/early" => {
                let early = Response::builder().status(103).body(()).unwrap();
                respond.send_informational(early).unwrap();
            }
            "/none" => *response.status_mut() = StatusCode::NO_CONTENT,
            "/trailers-only" => {
                response.headers_mut().insert("grpc-status", HeaderValue::from_static("7"));
            }
            "/large" | "/huge" => {
                let size = if request.uri().path() == "/large" { 40_000 } else { 100_000 };
                let value = HeaderValue::try_from("x".repeat(size)).unwrap();
                response.headers_mut().insert("x-large", value);
            }
            _ => {}
        }
        let fields = response.headers_mut();
        fields.insert("x-bin", HeaderValue::from_static("AAEC/w"));
        respond.send_response(response, true).ok();
    });
    let call = |method: Method, path: &'static str| {
        let request = Request::builder().method(method).uri(path).body(empty()).unwrap();
        lab.target.call(request, Options::default())
    };
    for (path, status) in
        [("/early", 200), ("/none", 204), ("/trailers-only", 200), ("/large", 200)]
    {
        for method in [Method::HEAD, Method::GET] {
            let response = call(method, path).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()["x-bin"], "AAEC/w");
            // Nothing is held for a body that has nothing in it.
            assert!(response.body().is_end_stream() && lab.is_at_rest(), "{path}");
        }
    }
    let error = call(Method::GET, "/huge").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transport);
    assert!(lab.is_at_rest());
    assert_eq!(
        (call(Method::GET, "/none").await.unwrap().status(), lab.dials()),
        (204.try_into().unwrap(), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn fields_that_http_2_does_not_have_are_left_out() {
    let (lab, acceptor) = Lab::new(|_| {});
    let seen = Arc::new(AtomicU32::new(0));
    let counter = seen.clone();
    serve(acceptor, Builder::new(), move |request, respond| {
        let known = request.headers().keys().all(|name| name == "x-mine" || name == "te");
        counter.fetch_add(u32::from(known) * 16 + 1, Ordering::SeqCst);
        echo(request, respond)
    });
    let mut request = post(full("hello"));
    for (name, value) in [("connection", "close"), ("te", "gzip"), ("x-mine", "1")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let response = lab.target.call(request, Options::default()).await.unwrap();
    assert_eq!(response.into_body().text().await.unwrap(), "hello");
    assert_eq!((seen.load(Ordering::SeqCst), lab.dials()), (17, 1));
}

#[tokio::test(start_paused = true)]
async fn an_end_without_content_is_one_empty_frame() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let (feed, body) = fed();
    let call = tokio::spawn(lab.target.call(post(body), Options::default()));
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let head = peer.next().await.unwrap();
    assert_eq!((head.kind, head.flags & END_STREAM), (HEADERS, 0));
    drop(feed);
    let data = peer.next().await.unwrap();
    assert_eq!((data.kind, data.flags, data.payload.len()), (DATA, END_STREAM, 0));
    peer.answer(head.stream).await;
    assert!(call.await.unwrap().is_ok());
}
