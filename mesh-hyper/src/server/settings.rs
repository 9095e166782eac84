//! Bounds, with their defaults and where those come from.

use std::time::Duration;

use mesh_core::cluster::Keepalive;
use mesh_core::snapshot::Connections;

/// Bounds of a server. The control plane's own, where it sets any, only tighten them.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    pub(super) handshake_timeout: Duration,
    pub(super) header_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) streams: u32,
    pub(super) header_bytes: u32,
    /// Header fields of an HTTP/1.1 request, beyond which it is not read.
    pub(super) header_fields: usize,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) drain_delay: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) drain_grace: Duration,
    /// Whether there is nothing but gRPC.
    pub(super) grpc_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // More need another limit of the operating system, too.
            connections: 10_000,
            // Slow clients must not keep others out, so most of the connections may be slow.
            handshakes: 8_192,
            // Ten times what a handshake over the slowest links takes.
            handshake_timeout: Duration::from_secs(10),
            // hyper's default. It also bounds the pause between requests.
            header_timeout: Duration::from_secs(30),
            // Envoy's default.
            idle_timeout: Some(Duration::from_secs(3600)),
            max_age: None,
            // RFC 9113 recommends 100 at the least; hyper has 200. With heads of 16 KiB it makes
            // 4 MiB for a connection.
            streams: 256,
            // hyper's default.
            header_bytes: 16 * 1024,
            header_fields: HEADER_FIELDS,
            // Notices clients that are gone without a word; gRPC waits for two hours.
            keepalive: Some(Keepalive {
                interval: Duration::from_secs(300),
                timeout: Duration::from_secs(20),
            }),
            // What it takes others to hear that this server is not ready any more.
            drain_delay: Duration::from_secs(5),
            // Kubernetes kills after 30 s, of which the delay is a part.
            drain_timeout: Duration::from_secs(24),
            // gRFC A36.
            drain_grace: Duration::from_secs(600),
            grpc_only: false,
        }
    }
}

impl Settings {
    /// These bounds as the filter chain tightens them.
    pub(super) fn under(&self, chain: &Connections) -> Self {
        let least = |own: Option<Duration>, other: Option<Duration>| {
            let other = other.filter(|other| !other.is_zero());
            [own, other].into_iter().flatten().min()
        };
        let mut bounds = self.clone();
        bounds.header_timeout = chain
            .header_timeout
            .map_or(self.header_timeout, |other| other.min(self.header_timeout));
        bounds.idle_timeout = least(self.idle_timeout, chain.idle_timeout);
        bounds.max_age = least(self.max_age, chain.max_age);
        bounds.streams = chain.max_concurrent_streams.map_or(self.streams, |n| n.min(self.streams));
        bounds.header_bytes =
            chain.max_header_bytes.map_or(self.header_bytes, |n| n.min(self.header_bytes));
        if let Some(max) = chain.max_header_fields {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            bounds.header_fields = max.min(self.header_fields);
        }
        bounds.keepalive = chain.keepalive.or(self.keepalive);
        bounds
    }
}

/// Receive window of an HTTP/2 stream, in bytes.
pub(super) const STREAM_WINDOW: u32 = 256 * 1024;

/// Receive window of an HTTP/2 connection, in bytes (hyper's default).
pub(super) const CONNECTION_WINDOW: u32 = 1 << 20;

/// What unread small DATA frames of an HTTP/2 connection may cost beyond their bytes. A frame costs
/// what it has less than 256 bytes, so the windows of two streams full of 32-byte messages stay below
/// this, and one of single bytes is an attack. It ends before h2's list of frames, of which each
/// takes 250 bytes, grows beyond 16 384. h2's default ends connections of a handler that pauses.
pub(super) const DATA_FRAME_BUDGET: usize = 4_000_000;

/// Resets that a client may make this server send for errors of its own (h2's default is 1024).
pub(super) const ERROR_RESETS: usize = 256;

/// Streams that may be reset before they are accepted (h2's default).
pub(super) const PENDING_RESETS: usize = 20;

/// The largest head of an HTTP/1 request besides its header fields, and what is read at once.
pub(super) const HTTP1_BUFFER: usize = 64 * 1024;

/// Header fields of a request of HTTP/1.1 (hyper's and Envoy's default).
const HEADER_FIELDS: usize = 100;
