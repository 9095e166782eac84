//! Filters of requests.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use mesh_core::filter::{
    Awaited, Context, End, Factory, Filter, LocalResponse, Settings, Slot, Step,
};
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

    fn on_end(&self, _: &mut Slot, end: End, _: Instant) {
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

/// What a request waits for, and how often its filter was asked.
#[derive(Debug, Default)]
struct Gate {
    is_open: AtomicBool,
    asked: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

#[derive(Debug)]
struct Opening(Arc<Gate>);

impl Awaited for Opening {
    fn poll_happened(&mut self, waker: &Waker) -> Poll<()> {
        *self.0.waker.lock().unwrap() = Some(waker.clone());
        if self.0.is_open.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Waits at a gate, for ten seconds at the longest each time.
#[derive(Debug)]
struct Waits(Arc<Gate>);

impl Filter for Waits {
    fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, cx: &mut Context<'_>) -> Step {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        if self.0.is_open.load(Ordering::SeqCst) {
            return Step::Continue;
        }
        Step::WaitFor(Box::new(Opening(self.0.clone())), cx.now + Duration::from_secs(10))
    }
}

impl Factory for Waits {
    fn type_url(&self) -> &str {
        "test.Waits"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(()) as Arc<dyn Any + Send + Sync>)
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Waits(self.0.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_waits_for_something_is_asked_again_when_it_happens() {
    let gate = Arc::new(Gate::default());
    let kit = Kit::serving(App::text("served"));
    let waits = HttpFilter {
        name: "waits".into(),
        factory: Arc::new(Waits(gate.clone())),
        settings: Arc::new(()),
        disabled: false,
    };
    kit.publish(1, routes(&[("/", Action::NonForwarding)], &[waits]));
    let (sender, _) = kit.h2().await;
    let start = tokio::time::Instant::now();
    let opens = async {
        tokio::time::sleep(Duration::from_secs(25)).await;
        gate.is_open.store(true, Ordering::SeqCst);
        gate.waker.lock().unwrap().take().unwrap().wake();
    };
    let (seen, ()) = tokio::join!(ask(&sender, get("/x")), opens);
    assert_eq!(seen.unwrap().body, "served");
    assert_eq!(start.elapsed(), Duration::from_secs(25));
    // At first, after ten seconds, after twenty, and when it has happened.
    assert_eq!(gate.asked.load(Ordering::SeqCst), 4);
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
