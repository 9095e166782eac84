//! Filters of requests.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh_core::filter::{Context, End, Factory, Filter, LocalResponse, Settings, Slot, Step};
use mesh_core::request::RequestHead;
use mesh_core::route::Action;
use mesh_core::side;
use mesh_core::snapshot::HttpFilter;

use super::kit::{App, Kit, ask, get, grpc, routes};

/// Does what the path says, and counts.
#[derive(Debug, Default)]
struct Guard {
    ended: Arc<AtomicUsize>,
}

impl Filter for Guard {
    fn poll_request(&self, slot: &mut Slot, head: &RequestHead<'_>, cx: &mut Context<'_>) -> Step {
        assert!(cx.peer.unwrap().remote.is_some());
        let first = matches!(slot, Slot::Empty);
        *slot = Slot::Bits(1);
        match head.path {
            path if path.ends_with("denied") => Step::Respond(LocalResponse {
                status: StatusCode::FORBIDDEN,
                grpc: 7,
                headers: HeaderMap::new(),
                body: "denied".into(),
                why: "test".into(),
            }),
            "/waits" if first => Step::WaitUntil(cx.now + Duration::from_secs(5)),
            "/asks" if first => Step::Ask(Box::new(side::Call {
                cluster: "c".into(),
                authority: "".into(),
                path: "/a.B/C".into(),
                headers: HeaderMap::new(),
                encoding: side::Encoding::Grpc,
                message: bytes::Bytes::new(),
                timeout: Duration::from_secs(1),
            })),
            "/asks" => {
                assert!(matches!(cx.answer, Some(Err(side::Failure::NoCluster(_)))));
                Step::Continue
            }
            _ => {
                cx.changes.set.push(("x-guard".parse().unwrap(), "seen".parse().unwrap()));
                Step::Continue
            }
        }
    }

    fn on_response(&self, _: &mut Slot, status: StatusCode, headers: &mut HeaderMap) {
        headers.insert("x-status", status.as_u16().into());
    }

    fn on_end(&self, _: &mut Slot, end: End) {
        assert_eq!(end, End::Complete);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

struct Make(Arc<AtomicUsize>);

impl Factory for Make {
    fn type_url(&self) -> &str {
        "test.Guard"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(()) as Arc<dyn Any + Send + Sync>)
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Guard { ended: self.0.clone() })
    }
}

fn guard(ended: &Arc<AtomicUsize>) -> HttpFilter {
    HttpFilter {
        name: "guard".into(),
        factory: Arc::new(Make(ended.clone())),
        settings: Arc::new(()),
        disabled: false,
    }
}

#[tokio::test(start_paused = true)]
async fn filters_let_pass_wait_or_answer_and_end_once() {
    let (ended, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = App::new({
        let served = served.clone();
        move |request| {
            served.fetch_add(1, Ordering::SeqCst);
            async move {
                let seen = request.headers().contains_key("x-guard");
                http::Response::new(crate::full(format!("guard {seen}")))
            }
        }
    });
    let kit = Kit::serving(app);
    kit.publish(1, routes(&[("/", Action::NonForwarding)], &[guard(&ended)]));
    let (sender, _) = kit.h2().await;
    let seen = ask(&sender, get("/x")).await.unwrap();
    assert_eq!(
        (&seen.body[..], &seen.headers["x-status"]),
        (&b"guard true"[..], &http::HeaderValue::from_static("200"))
    );
    let denied = ask(&sender, get("/denied")).await.unwrap();
    assert_eq!((denied.status, &denied.body[..]), (StatusCode::FORBIDDEN, &b"denied"[..]));
    assert_eq!(denied.headers["x-status"], "403");
    let denied = ask(&sender, grpc("/a.B/denied")).await.unwrap();
    assert_eq!(
        (denied.trailers_only(), &denied.headers["grpc-message"]),
        ("7", &"denied".parse().unwrap())
    );
    assert_eq!(served.load(Ordering::SeqCst), 1);
    let start = tokio::time::Instant::now();
    assert_eq!(ask(&sender, get("/waits")).await.unwrap().body, "guard true");
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(ask(&sender, get("/asks")).await.unwrap().body, "guard false");
    assert_eq!((served.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)), (3, 5));
}

#[tokio::test(start_paused = true)]
async fn what_routes_answer_themselves_passes_the_filters_first() {
    let ended = Arc::new(AtomicUsize::new(0));
    let kit = Kit::serving(App::text("served"));
    let gone = Action::DirectResponse { status: StatusCode::GONE, body: "gone".into() };
    kit.publish(1, routes(&[("/", gone)], &[guard(&ended)]));
    let (sender, _) = kit.h2().await;
    let status = async |path: &str| ask(&sender, get(path)).await.unwrap().status.as_u16();
    assert_eq!(status("/x").await, 410);
    assert_eq!(status("/denied").await, 403);
    let start = tokio::time::Instant::now();
    assert_eq!(status("/waits").await, 410);
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(ended.load(Ordering::SeqCst), 3);
}
