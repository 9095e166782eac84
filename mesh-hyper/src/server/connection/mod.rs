//! One connection, from the handshake to its end.

mod h1;
mod h2;
mod leash;
mod lifetime;
mod shake;
mod sniff;
mod standing;
mod start;
mod stream;
mod upgraded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use mesh_core::filter::ConnectionMemory;
use mesh_core::identity::{self, SpiffeId};
use mesh_core::inherited::Caller;
use mesh_core::record::{Event, Recorder};
use mesh_core::snapshot::ServerSnapshot;
use tower_service::Service;

use self::shake::{Closed, Shaken, shake};
use self::sniff::Protocol;
use super::body::ServerBody;
use super::head::HeadRules;
use super::peer::{OnAccept, Peer};
use super::secure::Greet;
use super::settings::Settings;
use super::state::Status;
use super::tenant::Tenant;
use crate::context::Context;
use crate::error::BoxError;
use crate::transport::connect::Io;

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) status: Arc<Status>,
    pub(super) settings: Settings,
    pub(super) context: Arc<Context>,
    pub(super) on_accept: Option<OnAccept>,
    /// `None` where TLS is not built in.
    pub(super) greet: Option<Arc<dyn Greet>>,
    /// Who is believed to say whom it speaks for.
    pub(super) trusted: Box<[SpiffeId]>,
    pub(super) recorder: Option<Arc<dyn Recorder>>,
    /// Connections that have not shown yet what they are.
    pub(super) handshakes: AtomicUsize,
}

impl Shared {
    /// Tells that a connection from `remote` was closed, or is.
    pub(super) fn refused(&self, remote: Option<SocketAddr>, why: &str) {
        tracing::debug!(?remote, %why, "connection closed");
        if let Some(recorder) = &self.recorder {
            recorder.record(&Event::Refused { remote, why });
        }
    }
}

/// What the requests of a connection share.
pub(super) struct Connected {
    pub(super) peer: Peer,
    /// Whether it is believed about how much its requests matter: whoever has proved an identity is.
    pub(super) caller: Caller,
    pub(super) scheme: &'static str,
    /// Whether there is nothing but gRPC.
    pub(super) grpc_only: bool,
    /// How long filters wait for the beginning of a request's body.
    pub(super) patience: Duration,
    /// What the heads of its requests may say.
    pub(super) heads: HeadRules,
    pub(super) context: Arc<Context>,
    /// Streams that the client has reset before they were answered.
    pub(super) resets: AtomicU32,
    /// What filters remember of it.
    pub(super) memory: ConnectionMemory,
    /// What each request has in its extensions.
    extensions: Extensions,
}

impl Connected {
    /// Tells the application what is known of the connection, and whose the request is.
    pub(super) fn describe(&self, request: &mut Request<ServerBody>, tenant: Option<Tenant>) {
        let extensions = request.extensions_mut();
        if extensions.is_empty() {
            *extensions = self.extensions.clone();
        } else {
            extensions.extend(self.extensions.clone());
        }
        if let Some(tenant) = tenant {
            extensions.insert(tenant);
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
    let remote = peer.remote;
    let Some(handshake) = Handshake::begin(&shared) else {
        return shared.refused(remote, "there are too many handshakes");
    };
    let timeout = shared.settings.handshake_timeout;
    let shaken = tokio::time::timeout(timeout, shake(io, peer, &shared)).await;
    drop(handshake);
    let Shaken { io, protocol, connected, lifetime, forbidden } = match shaken {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(Closed { hold, why })) => {
            shared.refused(remote, &why);
            if !hold.is_zero() {
                tokio::time::sleep(hold).await;
            }
            return;
        }
        Err(_) => {
            let why = format!("it has not shown what it speaks within {timeout:?}");
            return shared.refused(remote, &why);
        }
    };
    let (io, holder) = match (protocol, &forbidden) {
        (Protocol::Http2 | Protocol::Tls, None) => (io, None),
        // The application may take the stream of HTTP/1.1 over.
        (Protocol::Http1, _) | (Protocol::Http2 | Protocol::Tls, Some(_)) => {
            let (holder, leash) = leash::leash();
            (io.on(leash), Some(holder))
        }
    };
    let served = async {
        match protocol {
            Protocol::Http1 => {
                let lifetime = h1::serve(io, connected, lifetime, service).await;
                let holder = holder.as_ref().filter(|holder| holder.holds())?;
                upgraded::hold(holder, lifetime).await
            }
            Protocol::Http2 => {
                h2::serve(io, connected, lifetime, service, timeout).await;
                None
            }
            // One handshake in another is closed before.
            Protocol::Tls => None,
        }
    };
    let why = match forbidden {
        None => served.await,
        // All of it ends at once: nothing that is under way may go on.
        Some(forbidden) => tokio::select! {
            biased;
            why = served => why,
            why = forbidden => Some(why.into()),
        },
    };
    if let Some(why) = why {
        shared.refused(remote, &why);
    }
    // The holder goes last, and takes the stream along, whoever has it.
    drop(holder);
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

/// Which listener and chain a connection is under.
struct Assigned {
    snapshot: Arc<ServerSnapshot>,
    chain: Arc<mesh_core::snapshot::FilterChain>,
}
