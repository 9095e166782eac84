//! Calls over HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use mesh_core::route::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::kit::{App, Kit, ask, get, grpc, read, routes};
use crate::server::Peer;
use crate::server::settings::Settings;

#[tokio::test]
async fn requests_reach_the_application_with_their_peer() {
    let app = App::new(|request| async move {
        let peer = request.extensions().get::<Peer>().unwrap().clone();
        let has_certificate = request.headers().contains_key("x-forwarded-client-cert");
        let path = request.uri().path().to_owned();
        let text = format!("{} {has_certificate} {path}", peer.remote.unwrap());
        Response::new(crate::full(text))
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut request = get("/x?y");
    request.headers_mut().insert("x-forwarded-client-cert", "URI=spiffe://forged".parse().unwrap());
    let seen = ask(&sender, request).await.unwrap();
    assert_eq!(&seen.body[..], b"192.0.2.1:1 false /x");
    assert_eq!(
        (seen.status, &seen.headers["content-length"]),
        (StatusCode::OK, &"20".parse().unwrap())
    );
    assert!(seen.headers.contains_key("date"));
}

#[tokio::test]
async fn bodies_and_trailers_go_through_both_ways() {
    let app = App::new(|request| async move {
        let all = request.into_body().collect().await.unwrap();
        let fields = all.trailers().cloned().unwrap();
        let body = http_body_util::Full::new(all.to_bytes());
        let body = body.with_trailers(async move { Some(Ok(fields)) });
        Response::new(body.map_err(|never| match never {}).boxed_unsync())
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut send) = sender.send_request(grpc("/a.B/C"), false).unwrap();
    // More than the windows of stream and connection: both have to be opened again.
    let large = Bytes::from(vec![7; 3 << 20]);
    send.send_data(large.clone(), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    send.send_trailers(trailers.clone()).unwrap();
    let seen = read(response.await.unwrap()).await.unwrap();
    assert!(seen.body == large);
    assert_eq!(seen.trailers, Some(trailers));
    assert!(!seen.headers.contains_key("date"));
}

#[tokio::test]
async fn what_is_not_served_is_answered() {
    let kit = Kit::serving(App::text("served"));
    let gone = Action::DirectResponse { status: StatusCode::GONE, body: "gone".into() };
    let unsupported = Action::Unsupported("x".into());
    let actions = [
        ("/served", Action::NonForwarding),
        ("/gone", gone),
        ("/p.S/Served", Action::NonForwarding),
        ("/p.S/Other", unsupported),
    ];
    kit.publish(1, routes(&actions, &[]));
    let (sender, _) = kit.h2().await;
    let status = async |path: &str| {
        let seen = ask(&sender, get(path)).await.unwrap();
        (seen.status.as_u16(), String::from_utf8(seen.body.to_vec()).unwrap())
    };
    assert_eq!(status("/served").await, (200, "served".into()));
    assert_eq!(status("/gone").await, (410, "gone".into()));
    assert_eq!(status("/none").await, (404, "no route matches the request".into()));
    assert_eq!(status("/p.S/Other").await.0, 503);
    let code =
        async |path: &str| ask(&sender, grpc(path)).await.unwrap().trailers_only().to_owned();
    assert_eq!(ask(&sender, grpc("/p.S/Served")).await.unwrap().body, "served");
    assert_eq!(code("/p.S/Other").await, "14");
    assert_eq!(code("/p.S/None").await, "14");
    assert_eq!(code("/gone").await, "12");
    for path in ["/p.S/Served?x", "//p.S/Served", "/p.S/Served/", "/p.S/Ser%76ed", "/../p.S/Served"]
    {
        assert_eq!(code(path).await, "12", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_and_its_handler() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = dropped.clone();
    let app = App::new(move |_| {
        let count = Count(count.clone());
        async move {
            let _count = count;
            std::future::pending().await
        }
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut request = grpc("/a.B/C");
    request.headers_mut().insert("grpc-timeout", "250m".parse().unwrap());
    let start = tokio::time::Instant::now();
    let seen = ask(&sender, request).await.unwrap();
    assert_eq!(seen.trailers_only(), "4");
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(250) && elapsed < Duration::from_millis(260));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let mut malformed = grpc("/a.B/C");
    malformed.headers_mut().insert("grpc-timeout", "+5S".parse().unwrap());
    assert_eq!(ask(&sender, malformed).await.unwrap().trailers_only(), "13");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_response_that_has_begun() {
    let app = App::new(|_| async {
        let mut first = Some(Bytes::from_static(b"first"));
        Response::new(endless(move || first.take()))
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut request = grpc("/a.B/C");
    request.headers_mut().insert("grpc-timeout", "1S".parse().unwrap());
    let seen = ask(&sender, request).await.unwrap();
    assert_eq!(
        (&seen.body[..], &seen.trailers.unwrap()["grpc-status"]),
        (&b"first"[..], &"4".parse().unwrap())
    );
}

/// Tells of its end.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Answers with a body that never ends and never has to be waited for, and tells of its end.
fn unstoppable(ended: &Arc<Notify>) -> App {
    let ended = ended.clone();
    App::new(move |_| {
        let tell = Tell(ended.clone());
        async move {
            Response::new(endless(move || {
                let _tell = &tell;
                Some(Bytes::from_static(&[0; 10_000]))
            }))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_response_whose_client_takes_nothing() {
    let ended = Arc::new(Notify::new());
    let kit = Kit::serving(unstoppable(&ended));
    let (sender, _) = kit.h2().await;
    let mut sender = sender.ready().await.unwrap();
    let mut request = grpc("/a.B/C");
    request.headers_mut().insert("grpc-timeout", "1S".parse().unwrap());
    let started = Instant::now();
    let response = sender.send_request(request, true).unwrap().0.await.unwrap();
    ended.notified().await;
    assert_eq!(started.elapsed().as_secs(), 1);
    drop(response);

    let (mut io, _) = kit.connect();
    let head = "GET / HTTP/1.1\r\nhost: a\r\nx-envoy-expected-rq-timeout-ms: 1000\r\n\r\n";
    io.write_all(head.as_bytes()).await.unwrap();
    ended.notified().await;
    assert_eq!(started.elapsed().as_secs(), 2);
    // What was on its way comes, and no end of the body after it.
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_deadline_ends_a_response_that_never_has_to_be_waited_for() {
    let ended = Arc::new(Notify::new());
    let (sender, _) = Kit::serving(unstoppable(&ended)).h2().await;
    let mut request = grpc("/a.B/C");
    request.headers_mut().insert("grpc-timeout", "50m".parse().unwrap());
    // By what the client has taken at the time, it is told so or cut off.
    match ask(&sender, request).await {
        Ok(seen) => assert_eq!(seen.trailers.unwrap()["grpc-status"], "4"),
        Err(error) => assert_eq!(error.reason(), Some(h2::Reason::CANCEL)),
    }
    ended.notified().await;
}

/// A body of what `frames` gives, that never ends.
fn endless(frames: impl FnMut() -> Option<Bytes> + Send + Unpin + 'static) -> crate::Body {
    struct Endless<F>(F);
    impl<F: FnMut() -> Option<Bytes> + Unpin> http_body::Body for Endless<F> {
        type Data = Bytes;
        type Error = crate::BoxError;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, crate::BoxError>>> {
            match (self.0)() {
                Some(data) => std::task::Poll::Ready(Some(Ok(http_body::Frame::data(data)))),
                None => std::task::Poll::Pending,
            }
        }
    }
    Endless(frames).boxed_unsync()
}

#[tokio::test]
async fn a_client_that_resets_ends_the_handler() {
    let (called, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = App::new({
        let (called, ended) = (called.clone(), ended.clone());
        move |_| {
            let tell = Tell(ended.clone());
            called.notify_one();
            async move {
                let _tell = tell;
                std::future::pending().await
            }
        }
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut send) = sender.send_request(get("/"), false).unwrap();
    called.notified().await;
    send.send_reset(h2::Reason::CANCEL);
    ended.notified().await;
    drop(response);
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_call_only() {
    let app = App::new(|request| async move {
        assert_ne!(request.uri().path(), "/panic", "asked for");
        Response::new(crate::full("fine"))
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let failed = ask(&sender, get("/panic")).await.unwrap_err();
    assert_eq!(failed.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(ask(&sender, get("/")).await.unwrap().body, "fine");
}

#[tokio::test]
async fn large_responses_wait_for_the_client() {
    let asked = Arc::new(AtomicUsize::new(0));
    let app = App::new({
        let asked = asked.clone();
        move |_| {
            let asked = asked.clone();
            async move {
                Response::new(endless(move || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    Some(Bytes::from(vec![1; 16 * 1024]))
                }))
            }
        }
    });
    let (sender, _) = Kit::serving(app).h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, _) = sender.send_request(get("/"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap().len(), 16 * 1024);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    // The client's window of 64 KiB, one frame that h2 has, and one that waits for it.
    assert!(asked.load(Ordering::SeqCst) <= 6, "{asked:?}");
}

/// tonic's services do not look at it, so rules about gRPC would not see what they serve.
#[tokio::test]
async fn what_is_not_grpc_is_refused_where_there_is_nothing_else() {
    let app = App::new(|_| async { Response::new(crate::full("served")) });
    let settings = Settings { grpc_only: true, ..Settings::default() };
    let (sender, _) = Kit::bounded(app, settings).h2().await;
    let seen = ask(&sender, get("/a.B/C")).await.unwrap();
    assert_eq!(seen.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(ask(&sender, grpc("/a.B/C")).await.unwrap().body, "served");
}

#[tokio::test]
async fn targets_that_no_rule_would_see_are_refused() {
    let app = App::new(|_| async { Response::new(crate::full("served")) });
    let (sender, _) = Kit::serving(app).h2().await;
    let status = async |method: &str, target: &str| {
        let request = http::Request::builder().method(method).uri(target).body(()).unwrap();
        ask(&sender, request).await.map(|seen| seen.status.as_u16())
    };
    assert_eq!(status("CONNECT", "host:80").await.unwrap(), 400);
    assert_eq!(status("GET", "http://host/").await.unwrap(), 200);
}
