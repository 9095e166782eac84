//! A server without sockets: connections are pairs of pipes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response, StatusCode};
use mesh_core::cell::Cell;
use mesh_core::identity::{Clients, Forwarded, Peer, ServerTls};
use mesh_core::listener::{ChainMatch, Selector};
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{Action, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{
    Connections, FilterChain, HttpFilter, Inspection, Routes, Routing, ServerRoot, ServerSnapshot,
    Stamp,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::pretence::Pretence;

use crate::body::Body;
use crate::server::Server;
use crate::server::body::ServerBody;
use crate::server::connection::{self, Shared};
use crate::server::settings::Settings;
use crate::server::socket::Socket;
use crate::server::state::{Source, Status};

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, crate::BoxError>> + Send>>;

/// The application.
#[derive(Clone)]
pub(super) struct App(Arc<dyn Fn(Request<ServerBody>) -> Answer + Send + Sync>);

impl App {
    pub(super) fn new<F>(serve: impl Fn(Request<ServerBody>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |request| {
            let answer = serve(request);
            Box::pin(async move { Ok(answer.await) })
        }))
    }

    /// Answers with `text`.
    pub(super) fn text(text: &'static str) -> Self {
        Self::new(move |_| async move { Response::new(crate::full(text)) })
    }
}

impl Service<Request<ServerBody>> for App {
    type Response = Response<Body>;
    type Error = crate::BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), crate::BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ServerBody>) -> Answer {
        (self.0)(request)
    }
}

/// A server whose configuration the test says.
pub(super) struct Kit {
    root: Arc<Cell<ServerRoot>>,
    pub(super) status: Arc<Status>,
    shared: Arc<Shared>,
    app: App,
}

impl Kit {
    /// One without configuration.
    pub(super) fn unconfigured(app: App, settings: Settings) -> Self {
        let root = Arc::new(Cell::empty());
        let status = Status::new(Source::new(root.clone(), None), None);
        let shared = Arc::new(Shared {
            status: status.clone(),
            settings,
            context: super::side::context(),
            on_accept: None,
            greet: Some(Arc::new(Pretence)),
            trusted: Box::default(),
            recorder: None,
            handshakes: AtomicUsize::new(0),
        });
        Self { root, status, shared, app }
    }

    /// One that serves everything by `app`.
    pub(super) fn serving(app: App) -> Self {
        Self::bounded(app, Settings::default())
    }

    /// The same within `settings`.
    pub(super) fn bounded(app: App, settings: Settings) -> Self {
        let kit = Self::unconfigured(app, settings);
        kit.publish(1, routes(&[("", Action::NonForwarding)], &[]));
        kit
    }

    pub(super) fn publish(&self, epoch: u64, routes: Routes) {
        self.publish_with(epoch, Inspection::Addresses, routes);
    }

    pub(super) fn publish_with(&self, epoch: u64, inspection: Inspection, routes: Routes) {
        self.publish_chains(epoch, inspection, vec![(ChainMatch::default(), None, routes)]);
    }

    /// Chains, how they are secured, and what they serve.
    pub(super) fn publish_chains(
        &self,
        epoch: u64,
        inspection: Inspection,
        chains: Vec<(ChainMatch, Option<Arc<ServerTls>>, Routes)>,
    ) {
        let made = chains.into_iter().map(|(matched, security, routes)| {
            let made = FilterChain { security, ..plain(routes) };
            (matched, made)
        });
        self.publish_made(epoch, inspection, made.collect());
    }

    /// Serves everything, on connections within these bounds.
    pub(super) fn publish_bounded(&self, epoch: u64, connections: Connections) {
        let chain = FilterChain { connections, ..plain(everything()) };
        self.publish_made(epoch, Inspection::Addresses, vec![(ChainMatch::default(), chain)]);
    }

    fn publish_made(
        &self,
        epoch: u64,
        inspection: Inspection,
        chains: Vec<(ChainMatch, FilterChain)>,
    ) {
        let matches: Vec<_> = chains.iter().map(|(matched, _)| matched.clone()).collect();
        let snapshot = ServerSnapshot {
            listener: "l".into(),
            stamp: Stamp::default(),
            epoch,
            inspection,
            selector: Arc::new(Selector::new(&matches).unwrap()),
            chains: chains.into_iter().map(|(_, chain)| Arc::new(chain)).collect(),
            default: None,
        };
        self.root.publish(Arc::new(ServerRoot::Serving(Arc::new(snapshot))));
    }

    pub(super) fn withdraw(&self) {
        let gone = ServerRoot::NotServing { why: "gone".into(), since: SystemTime::UNIX_EPOCH };
        self.root.publish(Arc::new(gone));
    }

    /// A new connection, and the task that serves it.
    pub(super) fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let peer = Peer {
            remote: Some("192.0.2.1:1".parse().unwrap()),
            local: Some("192.0.2.2:80".parse().unwrap()),
            session: None,
        };
        let (shared, app) = (self.shared.clone(), self.app.clone());
        let task = tokio::spawn(connection::serve(Box::new(theirs), peer, shared, app));
        (ours, task)
    }

    /// The same at a socket.
    pub(super) fn at(&self, listener: TcpListener) -> Server {
        let socket = Socket::Tcp(listener);
        let address = socket.address().unwrap();
        let source = Source::new(self.root.clone(), None);
        Server::new(socket, address, source, super::side::context(), None)
    }

    /// The application.
    pub(super) fn app(&self) -> App {
        self.app.clone()
    }

    /// A new HTTP/2 connection.
    pub(super) async fn h2(&self) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        let (io, _) = self.connect();
        let (sender, connection) = h2::client::handshake(io).await.unwrap();
        (sender, tokio::spawn(connection))
    }
}

/// A chain in plain text, without bounds.
fn plain(routes: Routes) -> FilterChain {
    FilterChain {
        name: Arc::default(),
        security: None,
        forwarded: Forwarded::default(),
        filters: Arc::default(),
        connections: Connections::default(),
        routing: Routing::Ready(Arc::new(routes)),
    }
}

/// Routes by prefix, which pass `filters`.
pub(super) fn routes(routes: &[(&str, Action)], filters: &[HttpFilter]) -> Routes {
    let mut table = Table::builder();
    let all = routes.iter().fold(VirtualHost::new("v", &["*"]), |host, (prefix, action)| {
        let matcher = RouteMatch::new(PathMatcher::prefix(prefix));
        host.route(Route::new(matcher, action.clone()))
    });
    table.virtual_host(all);
    Routes::new(Arc::new(table.build().unwrap()), filters, None)
}

/// Routes that serve everything.
pub(super) fn everything() -> Routes {
    routes(&[("", Action::NonForwarding)], &[])
}

/// TLS for whoever comes.
pub(super) fn anonymous() -> Option<Arc<ServerTls>> {
    Some(Arc::new(ServerTls {
        identity: "default".into(),
        clients: Clients::Anonymous,
        protocols: Box::default(),
    }))
}

/// Sends `request` and reads until `ends` shows.
pub(super) async fn say(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &str,
    ends: &str,
) -> String {
    io.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(ends) {
        let mut some = [0; 1024];
        let count = io.read(&mut some).await.unwrap();
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&some[..count]);
    }
    String::from_utf8(seen).unwrap()
}

/// An HTTP/2 request.
pub(super) fn get(path: &str) -> Request<()> {
    Request::get(format!("http://host{path}")).body(()).unwrap()
}

/// A gRPC call.
pub(super) fn grpc(path: &str) -> Request<()> {
    let request = Request::post(format!("http://host{path}"));
    request.header("content-type", "application/grpc").body(()).unwrap()
}

/// What came back.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Seen {
    /// `grpc-status` of a response without a body.
    pub(super) fn trailers_only(&self) -> &str {
        assert_eq!((self.status, self.body.len(), &self.trailers), (StatusCode::OK, 0, &None));
        assert_eq!(self.headers["content-type"], "application/grpc");
        self.headers["grpc-status"].to_str().unwrap()
    }
}

/// Sends a request without a body, and reads all of the response.
pub(super) async fn ask(
    sender: &SendRequest<Bytes>,
    request: Request<()>,
) -> Result<Seen, h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (response, _) = sender.send_request(request, true)?;
    read(response.await?).await
}

pub(super) async fn read(response: Response<h2::RecvStream>) -> Result<Seen, h2::Error> {
    let (head, mut body) = response.into_parts();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?;
    Ok(Seen { status: head.status, headers: head.headers, body: all.into(), trailers })
}
