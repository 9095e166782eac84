//! A server before it serves.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::cluster::{Address, Keepalive};
use mesh_core::identity::SpiffeId;
use tokio::net::TcpListener;
use tower_service::Service;

use super::accept;
use super::body::ServerBody;
use super::peer::{Accepted, OnAccept};
use super::probes::Metrics;
use super::secure::Greet;
use super::settings::Settings;
use super::socket::Socket;
use super::state::{ServingState, Source};
use crate::context::Context;
use crate::error::BoxError;

/// A server of the mesh: what it serves, to whom and how is what the control plane says (gRFC A36).
///
/// Takes any tower service over `http::Request`: an axum `Router`, tonic's `Routes`. One port has
/// HTTP/1.1, HTTP/2 and gRPC. Until there is configuration, connections are closed without a byte,
/// and the log says within a second what is waited for.
///
/// How connections are secured is what the listener says for each filter chain, with the certificate
/// providers of the mesh (feature `tls`). Where it wants TLS, a connection in plain text gets not a
/// byte, also while there is no certificate to present. A client whose certificate is revoked, or
/// whose authorities are not trusted any more, loses its open connections at once. A listener that
/// replaces another drains the connections of before, and decides what they still ask; what it would
/// not let in is refused.
///
/// # Examples
///
/// ```no_run
/// use mesh_hyper::{Mesh, Server, signal};
/// # async fn run<S, B>(service: S) -> std::io::Result<()>
/// # where
/// #     S: tower_service::Service<http::Request<mesh_hyper::ServerBody>, Response = http::Response<B>>
/// #         + Clone + Send + 'static,
/// #     S::Error: Into<mesh_hyper::BoxError>,
/// #     S::Future: Send + 'static,
/// #     B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
/// #     B::Error: Into<mesh_hyper::BoxError>,
/// # {
/// let mesh = Mesh::from_env().map_err(std::io::Error::other)?;
/// Server::bind(&mesh, "0.0.0.0:8080")
///     .await?
///     .probes("0.0.0.0:8081")
///     .shutdown(signal::terminate())
///     .serve(service)
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it serves"]
pub struct Server {
    pub(super) socket: Socket,
    pub(super) address: Address,
    pub(super) source: Source,
    pub(super) context: Arc<Context>,
    pub(super) settings: Settings,
    pub(super) is_open: bool,
    pub(super) probes: Option<ProbesAt>,
    pub(super) metrics: Option<Metrics>,
    pub(super) shutdown: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) on_accept: Option<OnAccept>,
    pub(super) greet: Option<Arc<dyn Greet>>,
    pub(super) trusted: Vec<SpiffeId>,
    pub(super) on_state: Option<OnState>,
}

/// Who hears of the state of a server.
pub(super) type OnState = Box<dyn Fn(&ServingState) + Send + Sync>;

/// Where probes are answered.
pub(super) enum ProbesAt {
    Address(String),
    Listener(TcpListener),
}

impl ProbesAt {
    pub(super) async fn bind(self) -> io::Result<TcpListener> {
        match self {
            Self::Address(address) => TcpListener::bind(&*address).await,
            Self::Listener(listener) => Ok(listener),
        }
    }
}

impl Server {
    pub(crate) fn new(
        socket: Socket,
        address: Address,
        source: Source,
        context: Arc<Context>,
        greet: Option<Arc<dyn Greet>>,
    ) -> Self {
        Self {
            socket,
            address,
            source,
            context,
            settings: Settings::default(),
            is_open: false,
            probes: None,
            metrics: None,
            shutdown: None,
            on_accept: None,
            greet,
            trusted: Vec::new(),
            on_state: None,
        }
    }

    /// Serves gRPC and nothing else: a request with another `content-type` is answered with 415. For
    /// services that do not look at it themselves, so that rules and service take a request for the
    /// same. Default: both are served.
    pub fn grpc_only(mut self) -> Self {
        self.settings.grpc_only = true;
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Answers `/healthz`, `/ready` and `/metrics` at `address`, in plain text, and nothing else.
    ///
    /// `/ready` says 503 and why while nothing is served, once the server is about to stop, and when
    /// a certificate of the mesh is about to expire and none has replaced it.
    pub fn probes(mut self, address: impl Into<String>) -> Self {
        self.probes = Some(ProbesAt::Address(address.into()));
        self
    }

    /// The same on a socket that is there already.
    pub fn probes_on(mut self, listener: TcpListener) -> Self {
        self.probes = Some(ProbesAt::Listener(listener));
        self
    }

    /// What `/metrics` of the [`probes`](Self::probes) answers. Default: 404.
    pub fn metrics(mut self, metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(metrics));
        self
    }

    /// Stops when `signal` resolves, such as [`signal::terminate`](super::signal::terminate).
    ///
    /// From then on it is not ready; after the [`drain_delay`](Self::drain_delay) it accepts nothing
    /// new and tells its clients to go (GOAWAY); when their requests have ended, or after the
    /// [`drain_timeout`](Self::drain_timeout), [`serve`](Self::serve) returns.
    pub fn shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(signal));
        self
    }

    /// How long it serves on when it is told to stop, for others to hear of it. HTTP/1.1 connections
    /// whose listener was replaced have the same for what is under way. Default 5 s.
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.settings.drain_delay = delay;
        self
    }

    /// How long requests may go on once it takes no new ones. Default 24 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.drain_timeout = timeout;
        self
    }

    /// How long the requests of a connection may go on whose listener was replaced, and streams that
    /// were upgraded. Default 10 min (gRFC A36).
    pub fn drain_grace(mut self, grace: Duration) -> Self {
        self.settings.drain_grace = grace;
        self
    }

    /// Serves everything to everybody while there has never been any configuration. For development.
    pub fn allow_unconfigured(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Looks at each connection before its first request: puts something into the extensions of its
    /// requests, or refuses it.
    pub fn on_accept(mut self, look: impl Fn(&mut Accepted<'_>) + Send + Sync + 'static) -> Self {
        let before = self.on_accept.take();
        self.on_accept = Some(Arc::new(move |accepted: &mut Accepted<'_>| {
            if let Some(before) = &before {
                before(accepted);
            }
            look(accepted);
        }));
        self
    }

    /// Believes these peers, gateways for instance, when they say in `x-forwarded-client-cert` for
    /// whom they speak, where the control plane lets that field be kept
    /// (`forward_client_cert_details`). Default: nobody; then the field is removed from all requests,
    /// or says who is connected.
    ///
    /// Only peers that have proved their SPIFFE ID are believed.
    pub fn trust_forwarded(mut self, peers: impl IntoIterator<Item = SpiffeId>) -> Self {
        self.trusted.extend(peers);
        self
    }

    /// Is told whenever the server begins or ceases to serve.
    pub fn on_state(mut self, listener: impl Fn(&ServingState) + Send + Sync + 'static) -> Self {
        self.on_state = Some(Box::new(listener));
        self
    }

    /// Connections at once; more are closed. Default 10 000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.connections = connections;
        self
    }

    /// Connections at once that have not shown yet what they speak; more are closed. Default 8192.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.settings.handshakes = handshakes;
        self
    }

    /// How long a connection may take to show what it speaks. Default 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handshake_timeout = timeout;
        self
    }

    /// How long the head of an HTTP/1.1 request may take, and the pause before it. Default 30 s.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.settings.header_timeout = timeout;
        self
    }

    /// Closes HTTP/2 connections that had no request for so long; `None` for never. Default 1 h.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// Drains connections that are so old. Default: never.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Concurrent streams of an HTTP/2 connection. Default 256.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.settings.streams = streams.max(1);
        self
    }

    /// The size of a request's header fields, in bytes. Default 16 KiB.
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.settings.header_bytes = bytes;
        self
    }

    /// Pings clients of HTTP/2 at this interval, and gives up those that do not answer within
    /// `timeout`. Default 5 min and 20 s.
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings.keepalive = Some(Keepalive { interval, timeout });
        self
    }

    /// Serves `service` until the [`shutdown`](Self::shutdown) is over; without one, for ever.
    ///
    /// # Errors
    /// When the probes' address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future breaks off all connections.
    pub async fn serve<S, B>(self, service: S) -> io::Result<()>
    where
        S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        accept::run(self, service).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
