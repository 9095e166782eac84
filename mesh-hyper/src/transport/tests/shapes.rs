//! Heads and bodies of all shapes, and fields that are not for the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};

use super::kit::{Lab, drain, echo, fed, post, send, serve};
use super::raw::{DATA, END_STREAM, HEADERS, Peer};
use crate::body::{empty, full};
use crate::client::Options;
use crate::error::Kind;

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
                let ready = all_there(frames.iter().map(copy).collect());
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
fn all_there(frames: Vec<Frame<Bytes>>) -> Ready {
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
