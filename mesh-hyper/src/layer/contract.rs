//! What every layer must hold to, checked by a service that insists on it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::error::BoxError;

/// A service that panics unless this very instance was polled ready; its clones were not.
///
/// Answers what it was told to, in turn, and remembers the requests.
#[derive(Debug)]
pub(super) struct Strict {
    is_ready: bool,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    plays: Mutex<VecDeque<Play>>,
    last: Mutex<Option<Play>>,
    seen: Mutex<Vec<Seen>>,
    /// Requests under way.
    running: Arc<()>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Play {
    pub(super) after: Duration,
    /// `None` is an error.
    pub(super) status: Option<u16>,
    pub(super) grpc: Option<&'static str>,
}

/// A request that has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Play {
    pub(super) fn status(status: u16) -> Self {
        Self { after: Duration::ZERO, status: Some(status), grpc: None }
    }

    pub(super) fn grpc(code: &'static str) -> Self {
        Self { grpc: Some(code), ..Self::status(200) }
    }

    pub(super) fn broken() -> Self {
        Self { after: Duration::ZERO, status: None, grpc: None }
    }

    pub(super) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }
}

impl Strict {
    /// Does `plays` in turn, and the last of them for ever.
    pub(super) fn new(plays: impl IntoIterator<Item = Play>) -> Self {
        let shared = Shared { plays: Mutex::new(plays.into_iter().collect()), ..Shared::default() };
        Self { is_ready: false, shared: Arc::new(shared) }
    }

    /// Answers 200 after a while.
    pub(super) fn slow(after: Duration) -> Self {
        Self::new([Play::status(200).after(after)])
    }

    /// The requests that have come, each once its body has been read.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Requests under way.
    pub(super) fn running(&self) -> usize {
        Arc::strong_count(&self.shared.running) - 1
    }

    fn play(&self) -> Play {
        let mut last = self.shared.last.lock().unwrap();
        let next = self.shared.plays.lock().unwrap().pop_front().or(*last);
        *last = next;
        next.expect("a play")
    }
}

/// Forgets that it was ready, as services behind a `Buffer` or a limit do.
impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, shared: self.shared.clone() }
    }
}

impl<B> Service<Request<B>> for Strict
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<String>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being polled ready");
        let (play, shared) = (self.play(), self.shared.clone());
        let running = shared.running.clone();
        Box::pin(async move {
            let _running = running;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            let seen = Seen { method: parts.method, headers: parts.headers, body };
            shared.seen.lock().unwrap().push(seen);
            if !play.after.is_zero() {
                tokio::time::sleep(play.after).await;
            }
            let Some(status) = play.status else { return Err("broken".into()) };
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::from_u16(status)?;
            if let Some(code) = play.grpc {
                response.headers_mut().insert("grpc-status", code.parse()?);
            }
            Ok(response)
        })
    }
}

/// Checks the service that `layer` makes: the one below is called ready, also where it is cloned
/// and called twice, and a response future that is dropped leaves nothing behind.
pub(super) async fn check<S, B>(layer: impl Fn(Strict) -> S)
where
    S: Service<Request<String>, Response = Response<B>, Error = BoxError> + Clone,
{
    let strict = Strict::new([Play::status(200)]);
    let mut service = layer(strict.clone());
    for _ in 0..2 {
        let mut clone = service.clone();
        for service in [&mut service, &mut clone] {
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            let response = service.call(Request::new("body".into())).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
    assert_eq!((strict.seen().len(), strict.running()), (4, 0));

    let strict = Strict::slow(Duration::from_millis(1));
    let mut service = layer(strict.clone());
    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let mut future = Box::pin(service.call(Request::new("body".into())));
    assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await.is_pending());
    assert_eq!(strict.running(), 1);
    drop(future);
    assert_eq!(strict.running(), 0);
}
