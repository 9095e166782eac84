//! HTTP/1.1, through hyper.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_core::snapshot::Routing;
use tower_service::Service;

use super::Connected;
use super::lifetime::{Lifetime, Verdict};
use super::sniff::Prefixed;
use crate::error::BoxError;
use crate::server::body::ServerBody;
use crate::server::call::Call;
use crate::server::outgoing::Due;
use crate::server::settings::HTTP1_BUFFER;
use crate::transport::timer::Timer;

/// Serves a connection until it ends or is upgraded, and gives back what it lives by.
pub(super) async fn serve<S, B>(
    io: Prefixed,
    connected: Arc<Connected>,
    mut lifetime: Lifetime,
    service: S,
) -> Lifetime
where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let settings = lifetime.settings();
    let mut builder = Builder::new();
    let header_bytes = usize::try_from(settings.header_bytes).unwrap_or(usize::MAX);
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(settings.header_fields)
        .max_header_size(header_bytes)
        .max_buf_size(HTTP1_BUFFER.max(header_bytes));
    // Requests see the newest routes, one after the other.
    let routing = Arc::new(ArcSwap::from_pointee(lifetime.routing().clone()));
    let requests = Arc::new(AtomicU64::new(0));
    let leaves = Arc::new(AtomicBool::new(false));
    let due = Arc::<Due>::default();
    let timers = connected.context.timers.clone();
    let handler = {
        let (routing, requests, leaves) = (routing.clone(), requests.clone(), leaves.clone());
        let due = due.clone();
        let status = lifetime.status().clone();
        service_fn(move |request: Request<Incoming>| {
            requests.fetch_add(1, Ordering::Relaxed);
            let request = request.map(ServerBody::h1);
            let call = Call::start(&connected, &routing.load(), service.clone(), request);
            let (status, leaves, due) = (status.clone(), leaves.clone(), due.clone());
            async move {
                let mut response = call.await?;
                response.body_mut().say_in(&due);
                if status.is_stopping() || leaves.load(Ordering::Relaxed) {
                    leave(&mut response);
                }
                Ok::<_, Infallible>(response)
            }
        })
    };
    let wire = builder.serve_connection(TokioIo::new(io), handler).with_upgrades();
    let mut wire = pin!(wire);
    let mut timer = Timer::default();
    poll_fn(|cx| {
        // hyper knows when there is nothing to do: the header timeout ends idle connections.
        match lifetime.poll(cx, requests.load(Ordering::Relaxed), || true) {
            Verdict::GoOn => {}
            // The next response says so. Until then an idle connection stays for a while.
            Verdict::Leave => leaves.store(true, Ordering::Relaxed),
            Verdict::Drain => wire.as_mut().graceful_shutdown(),
            Verdict::Close => return Poll::Ready(()),
        }
        let now = lifetime.routing();
        if !is_same(&routing.load(), now) {
            routing.store(Arc::new(now.clone()));
        }
        if let Poll::Ready(ended) = wire.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "HTTP/1.1 connection broke");
            }
            return Poll::Ready(());
        }
        // hyper does not ask a body for more while the client takes nothing.
        let at = due.get();
        if timer.deadline() != at {
            timer.cancel(&timers);
            timer = Timer::new(at);
        }
        if timer.poll(&timers, cx) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    timer.cancel(&timers);
    lifetime
}

/// Asks the client to go while nothing is closed yet: a connection that is closed once it is idle
/// may have its next request under way already.
fn leave<B>(response: &mut Response<B>) {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn is_same(one: &Routing, other: &Routing) -> bool {
    match (one, other) {
        (Routing::Ready(one), Routing::Ready(other)) => Arc::ptr_eq(one, other),
        (Routing::Broken(one), Routing::Broken(other)) => one == other,
        (Routing::Ready(_), Routing::Broken(_)) | (Routing::Broken(_), Routing::Ready(_)) => false,
    }
}
