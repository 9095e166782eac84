//! Filters that see the beginning of a body.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use mesh_core::filter::{Context, Factory, Filter, LocalResponse, Settings, Slot, Step};
use mesh_core::request::RequestHead;
use mesh_core::route::Action;
use mesh_core::snapshot::HttpFilter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{App, Kit, get, grpc, read, routes};
use crate::server::settings::STREAM_WINDOW;

/// Waits for four bytes, and tells the application what it has seen.
#[derive(Debug)]
struct Reads;

impl Filter for Reads {
    fn poll_request(&self, slot: &mut Slot, head: &RequestHead<'_>, cx: &mut Context<'_>) -> Step {
        let Some(body) = cx.body.take() else {
            assert!(matches!(slot, Slot::Empty));
            *slot = Slot::Bits(1);
            return Step::Body { up_to: 4 };
        };
        if head.path == "/denied" {
            return Step::Respond(LocalResponse {
                status: http::StatusCode::FORBIDDEN,
                grpc: 7,
                headers: HeaderMap::new(),
                body: body.bytes,
                why: "test".into(),
            });
        }
        let seen = format!("{} {}", String::from_utf8_lossy(&body.bytes), body.is_whole);
        let seen = HeaderValue::try_from(seen).unwrap();
        cx.changes.append.push((http::HeaderName::from_static("x-seen"), seen));
        Step::Continue
    }
}

struct Make;

impl Factory for Make {
    fn type_url(&self) -> &str {
        "test.Reads"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(()))
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Reads)
    }
}

/// A server whose requests pass two such filters.
fn kit(app: App) -> Kit {
    let kit = Kit::serving(app);
    let filter = |name: &str| HttpFilter {
        name: name.into(),
        factory: Arc::new(Make),
        settings: Arc::new(()),
        disabled: false,
    };
    let filters = [filter("one"), filter("two")];
    kit.publish(1, routes(&[("/", Action::NonForwarding)], &filters));
    kit
}

/// Says what the filters have seen, then the body and its trailers.
fn echo() -> App {
    App::new(|request| async move {
        let (head, body) = request.into_parts();
        let seen = head.headers.get_all("x-seen").iter().map(|value| value.to_str().unwrap());
        let seen = seen.collect::<Vec<_>>().join(",");
        let body = body.collect().await.unwrap();
        let trailer = body.trailers().map_or("none", |all| all["x-t"].to_str().unwrap()).to_owned();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Response::new(crate::full(format!("{seen}|{body}|{trailer}")))
    })
}

/// The answer to a request that has `parts` of a body, and a trailer if it is to have one.
async fn posted(kit: &Kit, parts: &[&'static str], trailer: bool) -> String {
    let (sender, _) = kit.h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut stream) = sender.send_request(get("/"), false).unwrap();
    for part in parts {
        stream.send_data(Bytes::from_static(part.as_bytes()), false).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if trailer {
        let trailers = HeaderMap::from_iter([("x-t".parse().unwrap(), "t".parse().unwrap())]);
        stream.send_trailers(trailers).unwrap();
    } else {
        stream.send_data(Bytes::new(), true).unwrap();
    }
    let seen = read(response.await.unwrap()).await.unwrap();
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_service_gets_what_filters_have_seen_and_all_the_rest() {
    let kit = kit(echo());
    for (parts, trailer, answer) in [
        (&["ab", "c", "de", "fg"][..], true, "abcde false,abcde false|abcdefg|t"),
        (&["ab", "cde", "fg"], false, "abcde false,abcde false|abcdefg|none"),
        (&["a"], true, "a true,a true|a|t"),
        (&["a", "b"], false, "ab true,ab true|ab|none"),
        (&[], false, " true, true||none"),
        (&[], true, " true, true||t"),
    ] {
        assert_eq!(posted(&kit, parts, trailer).await, answer, "{parts:?}");
    }
    let (sender, _) = kit.h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut stream) = sender.send_request(get("/denied"), false).unwrap();
    stream.send_data(Bytes::from_static(b"abcd"), true).unwrap();
    assert_eq!(read(response.await.unwrap()).await.unwrap().body, "abcd");
}

#[tokio::test(start_paused = true)]
async fn a_client_sends_no_more_than_its_window_and_what_filters_have_read() {
    let kit = kit(App::new(|_| std::future::pending()));
    let (sender, _) = kit.h2().await;
    let mut sender = sender.ready().await.unwrap();
    let (_response, mut stream) = sender.send_request(get("/"), false).unwrap();
    let mut sent = 0;
    stream.reserve_capacity(1 << 24);
    while let Some(capacity) = capacity(&mut stream).await {
        stream.send_data(vec![b'a'; capacity].into(), false).unwrap();
        sent += capacity;
        stream.reserve_capacity(1 << 24);
    }
    // The filters have read one frame, and no more.
    assert_eq!(sent, usize::try_from(STREAM_WINDOW).unwrap() + 16_384);
}

/// What may be sent; none if that is nothing for long.
async fn capacity(stream: &mut SendStream<Bytes>) -> Option<usize> {
    let capacity = poll_fn(|cx| stream.poll_capacity(cx));
    let capacity = tokio::time::timeout(Duration::from_secs(1), capacity).await;
    Some(capacity.ok()?.unwrap().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_while_a_body_does_not_come() {
    let kit = kit(App::text("served"));
    let (sender, _) = kit.h2().await;
    let mut sender = sender.ready().await.unwrap();
    let mut request = grpc("/a.B/C");
    request.headers_mut().insert("grpc-timeout", "2S".parse().unwrap());
    let start = tokio::time::Instant::now();
    let (response, _stream) = sender.send_request(request, false).unwrap();
    let seen = read(response.await.unwrap()).await.unwrap();
    assert_eq!(seen.trailers_only(), "4");
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_send_the_body_is_told() {
    let kit = kit(echo());
    let (mut io, _) = kit.connect();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    io.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    io.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    io.write_all(b"abc").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("|none") {
        let mut some = [0; 1024];
        let count = io.read(&mut some).await.unwrap();
        assert_ne!(count, 0, "{seen}");
        seen.push_str(std::str::from_utf8(&some[..count]).unwrap());
    }
    assert!(seen.ends_with("abc true,abc true|abc|none"), "{seen}");
}

#[tokio::test]
async fn a_request_whose_body_breaks_off_is_not_served() {
    let kit = kit(App::new(|_| async { panic!("served") }));
    let (mut io, task) = kit.connect();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab";
    io.write_all(head.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let mut seen = String::new();
    io.read_to_string(&mut seen).await.unwrap();
    assert!(!seen.contains(" 200 "), "{seen}");
    task.await.unwrap();
}
