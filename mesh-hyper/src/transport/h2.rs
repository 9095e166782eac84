//! HTTP/2 through the `h2` crate: the handshake, and the task that drives a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong, Reason};
use mesh_core::cluster::{Connections, Keepalive};

use super::connect::Io;
use super::connection::Gauge;
use super::half::HalfOpen;
use super::signals::Signals;

/// Streams assumed to be allowed where the peer sets no limit (RFC 9113 §6.5.2 recommends it).
const DEFAULT_STREAMS: u32 = 100;

/// Streams on one connection where the peer allows any number of them.
const MAX_STREAMS: u32 = 1 << 20;

type Wire = Connection<HalfOpen<Box<dyn Io>>, Bytes>;

/// An HTTP/2 connection whose peer has answered.
pub(crate) struct Opened {
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) wire: Wire,
    pub(crate) ping: Option<PingPong>,
    pub(crate) limit: u32,
}

/// Sends the preface and waits until the peer has answered a ping.
///
/// The answer proves that somebody is there, and it comes after the peer's SETTINGS, so the stream
/// limit is known before the first call.
pub(crate) async fn handshake(io: Box<dyn Io>, config: &Connections) -> Result<Opened, String> {
    let mut builder = Builder::new();
    builder
        .initial_window_size(config.stream_window)
        .initial_connection_window_size(config.connection_window)
        // Unread small DATA frames are bounded by flow control already; h2's own budget would kill
        // the whole connection for one slow reader.
        .data_frame_budget((config.connection_window as usize).saturating_mul(64))
        .initial_max_send_streams(MAX_STREAMS as usize)
        .max_header_list_size(64 * 1024)
        .enable_push(false);
    let handshake = builder.handshake(HalfOpen::new(io)).await;
    let (mut sender, mut wire) = handshake.map_err(|error| format!("HTTP/2 handshake: {error}"))?;
    let mut ping = wire.ping_pong();
    if let Some(ping) = &mut ping {
        ping.send_ping(Ping::opaque()).map_err(|error| format!("HTTP/2 ping: {error}"))?;
        std::future::poll_fn(|cx| {
            let done = Pin::new(&mut wire).poll(cx);
            let failed = |why: String| Err(format!("HTTP/2 handshake: {why}"));
            match (done, ping.poll_pong(cx)) {
                (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                    Poll::Ready(failed(error.to_string()))
                }
                // A peer that has answered, and gone in good order, did not fail: the driver tells.
                (_, Poll::Ready(Ok(_))) => Poll::Ready(Ok(())),
                (Poll::Ready(Ok(())), Poll::Pending) if has_left(&mut sender, cx) => {
                    Poll::Ready(Ok(()))
                }
                (Poll::Ready(Ok(())), Poll::Pending) => Poll::Ready(failed("it was closed".into())),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await?;
    }
    let limit = limit(&wire, config.max_concurrent_streams);
    Ok(Opened { sender, wire, ping, limit })
}

/// Whether the peer has closed by a GOAWAY without an error, not just by hanging up.
fn has_left(sender: &mut SendRequest<Bytes>, cx: &mut Context<'_>) -> bool {
    let is_good = |error: &h2::Error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
    };
    matches!(sender.poll_ready(cx), Poll::Ready(Err(error)) if is_good(&error))
}

fn limit(wire: &Wire, own: Option<u32>) -> u32 {
    let peer = u32::try_from(wire.max_concurrent_send_streams()).unwrap_or(u32::MAX);
    // What h2 reports before any SETTINGS is what we told it to assume.
    let peer = if peer == u32::MAX { DEFAULT_STREAMS } else { peer.min(MAX_STREAMS) };
    peer.min(own.unwrap_or(u32::MAX))
}

/// Drives a connection until it closes, and says why it did.
pub(crate) struct Driver {
    wire: Wire,
    own_limit: Option<u32>,
    known: usize,
    gauge: Arc<Gauge>,
    signals: Arc<Signals>,
}

impl Driver {
    pub(crate) fn new(
        wire: Wire,
        own_limit: Option<u32>,
        gauge: Arc<Gauge>,
        signals: Arc<Signals>,
    ) -> Self {
        let known = wire.max_concurrent_send_streams();
        Self { wire, own_limit, known, gauge, signals }
    }
}

impl Future for Driver {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let done = Pin::new(&mut self.wire).poll(cx);
        let known = self.wire.max_concurrent_send_streams();
        if known != self.known {
            self.known = known;
            if self.gauge.set_limit(limit(&self.wire, self.own_limit)) {
                self.signals.changed();
            }
        }
        done.map(|result| match result {
            Ok(()) => {
                self.gauge.close();
                self.gauge.set_orderly();
                "the peer closed the connection".into()
            }
            Err(error) => format!("the connection broke: {error}"),
        })
    }
}

/// Pings the peer, and resolves when an answer stays out.
pub(crate) async fn keepalive(mut ping: PingPong, config: Keepalive) -> String {
    loop {
        tokio::time::sleep(config.interval).await;
        if ping.send_ping(Ping::opaque()).is_err() {
            // The connection is gone; its driver says why.
            return std::future::pending().await;
        }
        let pong = std::future::poll_fn(|cx| ping.poll_pong(cx));
        match tokio::time::timeout(config.timeout, pong).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return format!("no answer to a ping within {:?}", config.timeout),
        }
    }
}

/// Resolves when the connection has carried nothing for `timeout` (seen at its next check, so
/// after one to two times as long).
pub(crate) async fn idle(gauge: &Gauge, timeout: Duration) {
    let mut seen = gauge.started();
    loop {
        tokio::time::sleep(timeout).await;
        let started = gauge.started();
        if started == seen && gauge.streams() == 0 {
            return;
        }
        seen = started;
    }
}
