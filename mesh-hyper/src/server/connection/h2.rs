//! HTTP/2, through the `h2` crate: the task of a connection takes streams in, and each stream has a
//! task of its own, so that handlers of one connection run on all workers.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection as Wire};
use http::{Request, Response};
use http_body::Body;
use mesh_core::listener::Resets;
use tokio::task::AbortHandle;
use tower_service::Service;

use super::Connected;
use super::lifetime::{Lifetime, Verdict};
use super::sniff::Prefixed;
use super::stream::Stream;
use crate::error::BoxError;
use crate::runtime;
use crate::server::body::ServerBody;
use crate::server::call::Call;
use crate::server::settings::{
    CONNECTION_WINDOW, DATA_FRAME_BUDGET, ERROR_RESETS, PENDING_RESETS, STREAM_WINDOW, Settings,
};
use crate::transport::h2::keepalive;

/// Streams that are taken in before other tasks get their turn.
const BURST: usize = 64;

/// Serves a connection to its end.
pub(super) async fn serve<S, B>(
    io: Prefixed,
    connected: Arc<Connected>,
    lifetime: Lifetime,
    service: S,
    timeout: Duration,
) where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let handshake = builder(lifetime.settings()).handshake(io);
    let Ok(Ok(mut wire)) = tokio::time::timeout(timeout, handshake).await else { return };
    let ping = wire.ping_pong().zip(lifetime.settings().keepalive);
    let resets = Resets::new(runtime::now());
    let mut driver = Driver { wire, connected, lifetime, service, resets, requests: 0 };
    let drive = poll_fn(|cx| driver.poll(cx));
    match ping {
        None => drive.await,
        Some((ping, config)) => {
            let dead = tokio::spawn(keepalive(ping, config));
            let _watching = Watching(dead.abort_handle());
            tokio::select! {
                biased;
                () = drive => {}
                why = dead => tracing::debug!(?why, "HTTP/2 connection given up"),
            }
        }
    }
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(DATA_FRAME_BUDGET)
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(settings.header_bytes)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS));
    builder
}

/// Ends a task with the connection that it watches.
struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Driver<S> {
    wire: Wire<Prefixed, Bytes>,
    connected: Arc<Connected>,
    lifetime: Lifetime,
    service: S,
    resets: Resets,
    requests: u64,
}

impl<S, B> Driver<S>
where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BURST {
            // Before each stream: what is published is in force for all that come after it.
            let wire = &self.wire;
            match self.lifetime.poll(cx, self.requests, || wire.has_streams()) {
                Verdict::GoOn => {}
                // It says so at once, and takes what is under way; again, it does nothing.
                Verdict::Leave | Verdict::Drain => self.wire.graceful_shutdown(),
                Verdict::Close => return Poll::Ready(()),
            }
            let accepted = std::pin::pin!(self.wire.accept()).poll(cx);
            match accepted {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "HTTP/2 connection broke");
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.requests += 1;
                    let request = request.map(ServerBody::h2);
                    let routing = self.lifetime.routing();
                    let call = Call::start(&self.connected, routing, self.service.clone(), request);
                    tokio::spawn(Stream::new(respond, call, self.connected.clone()));
                    let resets = self.connected.resets.load(Ordering::Relaxed);
                    if self.resets.opened(resets, runtime::now) {
                        tracing::debug!("HTTP/2 client resets too many streams");
                        self.wire.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
