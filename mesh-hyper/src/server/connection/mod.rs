//! One connection, from the handshake to its end.

mod h1;
mod h2;
mod lifetime;
mod sniff;
mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use mesh_core::filter::Denial;
use mesh_core::identity;
use mesh_core::listener::{Connection, Transport};
use mesh_core::snapshot::{Inspection, ServerSnapshot};
use tower_service::Service;

use self::lifetime::Lifetime;
use self::sniff::{Prefixed, Protocol};
use super::body::ServerBody;
use super::peer::{Accepted, OnAccept, Peer};
use super::settings::Settings;
use super::state::Status;
use crate::context::Context;
use crate::error::BoxError;
use crate::transport::connect::Io;

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) status: Arc<Status>,
    pub(super) settings: Settings,
    pub(super) context: Arc<Context>,
    pub(super) on_accept: Option<OnAccept>,
    /// Connections that have not shown yet what they are.
    pub(super) handshakes: AtomicUsize,
}

/// What the requests of a connection share.
pub(super) struct Connected {
    pub(super) peer: Peer,
    pub(super) scheme: &'static str,
    pub(super) context: Arc<Context>,
    /// Streams that the client has reset before they were answered.
    pub(super) resets: AtomicU32,
    /// What each request has in its extensions.
    extensions: Extensions,
}

impl Connected {
    /// Tells the application what is known of the connection.
    pub(super) fn describe(&self, request: &mut Request<ServerBody>) {
        let extensions = request.extensions_mut();
        if extensions.is_empty() {
            *extensions = self.extensions.clone();
        } else {
            extensions.extend(self.extensions.clone());
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve<S, B>(
    io: Box<dyn Io>,
    peer: identity::Peer,
    shared: Arc<Shared>,
    service: S,
) where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Some(handshake) = Handshake::begin(&shared) else { return };
    let timeout = shared.settings.handshake_timeout;
    let shaken = tokio::time::timeout(timeout, shake(io, peer, &shared)).await;
    drop(handshake);
    let Shaken { io, protocol, connected, lifetime } = match shaken {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(Closed { hold })) if !hold.is_zero() => return tokio::time::sleep(hold).await,
        Ok(Err(_)) | Err(_) => return,
    };
    match protocol {
        Protocol::Http1 => h1::serve(io, connected, lifetime, service).await,
        Protocol::Http2 => h2::serve(io, connected, lifetime, service, timeout).await,
        // No chain speaks it yet.
        Protocol::Tls => {}
    }
}

/// One of the connections that have not shown yet what they are.
struct Handshake(Arc<Shared>);

impl Handshake {
    fn begin(shared: &Arc<Shared>) -> Option<Self> {
        let count = shared.handshakes.fetch_add(1, Ordering::Relaxed);
        let handshake = Self(shared.clone());
        (count < shared.settings.handshakes).then_some(handshake)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is about to be served.
struct Shaken {
    io: Prefixed,
    protocol: Protocol,
    connected: Arc<Connected>,
    lifetime: Lifetime,
}

/// A connection that is closed without a byte.
#[derive(Default)]
struct Closed {
    /// How long it is held before.
    hold: Duration,
}

/// Finds out what a connection is and whether it may be.
async fn shake(
    io: Box<dyn Io>,
    peer: identity::Peer,
    shared: &Arc<Shared>,
) -> Result<Shaken, Closed> {
    let mut io = Prefixed::new(io);
    let mut snapshot = shared.status.snapshot().ok_or_else(Closed::default)?;
    let mut transport = Transport::Plain;
    if snapshot.inspection == Inspection::FirstByte {
        transport = io.transport().await.ok().flatten().ok_or_else(Closed::default)?;
        // It may have taken a while.
        snapshot = shared.status.snapshot().ok_or_else(Closed::default)?;
    }
    let chain = snapshot.chain(&facts(&peer, transport)).ok_or_else(Closed::default)?.clone();
    let protocol = io.protocol().await.ok().flatten().ok_or_else(Closed::default)?;
    if let Err(Denial { rule, hold }) = chain.admit(&peer) {
        tracing::debug!(remote = ?peer.remote, %rule, "connection denied");
        return Err(Closed { hold });
    }
    let mut extensions = Extensions::new();
    let peer = Peer(Arc::new(peer));
    if accepted(shared, &peer, &mut extensions) {
        return Err(Closed::default());
    }
    let connected = Arc::new(Connected {
        peer,
        scheme: "http",
        context: shared.context.clone(),
        resets: AtomicU32::new(0),
        extensions,
    });
    let lifetime = Lifetime::new(shared, snapshot, chain);
    Ok(Shaken { io, protocol, connected, lifetime })
}

/// Fills in what requests say of their connection; whether the application refuses it.
fn accepted(shared: &Shared, peer: &Peer, extensions: &mut Extensions) -> bool {
    extensions.insert(peer.clone());
    #[cfg(feature = "axum")]
    if let Some(remote) = peer.remote {
        extensions.insert(axum::extract::ConnectInfo(remote));
    }
    let Some(on_accept) = &shared.on_accept else { return false };
    let mut accepted = Accepted { peer, extensions, is_refused: false };
    on_accept(&mut accepted);
    accepted.is_refused
}

fn facts(peer: &identity::Peer, transport: Transport) -> Connection {
    let ip = |address: std::net::SocketAddr| -> IpAddr { address.ip() };
    Connection {
        local: peer.local.map(ip),
        remote: peer.remote.map(|remote| (remote.ip(), remote.port())),
        transport,
    }
}

/// Which listener and chain a connection is under.
struct Assigned {
    snapshot: Arc<ServerSnapshot>,
    chain: Arc<mesh_core::snapshot::FilterChain>,
}
