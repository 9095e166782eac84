//! A target over an in-memory network, and peers that tests drive by hand.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::uri::Authority;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use mesh_core::cell::Cell;
use mesh_core::cluster::{
    Address, Assignment, Cluster, Config, Discovery, Endpoint, Locality, LocalityName, Version,
};
use mesh_core::matcher::PathMatcher;
use mesh_core::record::Recorder;
use mesh_core::request::RoutingPriority;
use mesh_core::route::{Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{ClusterSlot, Root, Snapshot};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::client::{Source, Target};
use crate::context::Context;
use crate::error::BoxError;
use crate::pool::Pool;
use crate::transport::connect::{Connect, Connecting, Dialer, Io};

/// Waits until a condition holds, a minute of test time at the most.
macro_rules! eventually {
    ($condition:expr) => {{
        let mut turns = 0;
        while !$condition {
            turns += 1;
            assert!(turns < 60_000, "never came to hold: {}", stringify!($condition));
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }};
}
pub(super) use eventually;

/// Connections that a peer has been offered.
pub(super) type Acceptor = mpsc::UnboundedReceiver<DuplexStream>;

/// Addresses that somebody listens at; all others refuse.
#[derive(Default)]
pub(super) struct Network {
    listeners: Mutex<HashMap<Address, mpsc::UnboundedSender<DuplexStream>>>,
    pub(super) dials: AtomicU32,
    /// Whether clients can read, but not write any more.
    pub(super) is_deaf: Arc<AtomicBool>,
}

impl Network {
    pub(super) fn listen(&self, address: &Address) -> Acceptor {
        let (sender, acceptor) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().insert(address.clone(), sender);
        acceptor
    }
}

impl Connect for Network {
    fn connect(&self, address: &Address) -> Connecting {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let (near, far) = tokio::io::duplex(64 * 1024);
        let listeners = self.listeners.lock().unwrap();
        let is_deaf = self.is_deaf.clone();
        let sent = listeners.get(address).map(|sender| sender.send(far).is_ok());
        Box::pin(async move {
            match sent {
                Some(true) => Ok(Box::new(Near { io: near, is_deaf }) as Box<dyn Io>),
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// A client's end of a connection.
struct Near {
    io: DuplexStream,
    is_deaf: Arc<AtomicBool>,
}

impl AsyncRead for Near {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A target with one cluster.
pub(super) struct Lab {
    pub(super) target: Target,
    pub(super) network: Arc<Network>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) context: Arc<Context>,
}

impl Lab {
    /// One endpoint, at which somebody listens.
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> (Self, Acceptor) {
        let lab = Self::with(1, change, |_| {});
        let acceptor = lab.listen(0);
        (lab, acceptor)
    }

    pub(super) fn with(
        endpoints: u16,
        change: impl FnOnce(&mut Config),
        route: impl FnOnce(&mut Route),
    ) -> Self {
        Self::recorded(endpoints, change, route, None)
    }

    /// As [`with`](Self::with); what happens is told to `recorder`.
    pub(super) fn recorded(
        endpoints: u16,
        change: impl FnOnce(&mut Config),
        route: impl FnOnce(&mut Route),
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Self {
        let address = |at| Address::Socket(([127, 0, 0, 1], 1000 + at).into());
        let all = (0..endpoints).map(|at| Arc::new(Endpoint::new(address(at))));
        let endpoints: Vec<_> = all.collect();
        let locality = Locality {
            name: Arc::default(),
            weight: 1,
            priority: 0,
            endpoints: endpoints.clone().into(),
        };
        let assignment = Assignment { localities: vec![locality], ..Assignment::default() };
        let assignment = Arc::new(assignment);
        let mut config = Config::new("backend", Discovery::Static(assignment.clone()));
        change(&mut config);
        let version = Version { config: Arc::new(config), assignment, note: None };
        let cluster = Cluster::new(version);
        let network = Arc::new(Network::default());
        let context = Context::new(
            Handle::current(),
            Dialer { connector: network.clone(), secure: None },
            recorder,
        );
        let root = Arc::new(Cell::new(Arc::new(Root::Ready(snapshot(&cluster, route)))));
        let target = target(root, &context);
        Self { target, network, cluster, endpoints, context }
    }

    /// Puts each endpoint into a priority of its own.
    pub(super) fn divide(&self) {
        let all = self.endpoints.iter().zip(0..).map(|(endpoint, priority)| Locality {
            name: Arc::new(LocalityName {
                zone: priority.to_string().into(),
                ..LocalityName::default()
            }),
            weight: 1,
            priority,
            endpoints: [endpoint.clone()].into(),
        });
        let assignment = Assignment { localities: all.collect(), ..Assignment::default() };
        let assignment = Arc::new(assignment);
        self.cluster.version().update(|version| {
            let config = version.unwrap().config.clone();
            Arc::new(Version { config, assignment: assignment.clone(), note: None })
        });
    }

    pub(super) fn listen(&self, endpoint: usize) -> Acceptor {
        self.network.listen(&self.endpoints[endpoint].address)
    }

    pub(super) fn pool(&self) -> &Pool {
        Pool::of(&self.cluster, &self.context).unwrap()
    }

    /// Nothing is counted any more: calls, permits, streams, waiters.
    pub(super) fn is_at_rest(&self) -> bool {
        let active: u32 = self.endpoints.iter().map(|e| e.state.active()).sum();
        let (waiting, streams) = self.pool().load();
        let usage = self.cluster.usage();
        let pending: u32 =
            RoutingPriority::ALL.map(|priority| usage.pending(priority)).iter().sum();
        active + self.cluster.requests() + waiting + pending + streams == 0
    }

    pub(super) fn dials(&self) -> u32 {
        self.network.dials.load(Ordering::SeqCst)
    }
}

pub(super) fn target(root: Arc<Cell<Root>>, context: &Arc<Context>) -> Target {
    let source = Source { root, demand: None, keep: None };
    Target::new("xds:///backend", Authority::from_static("backend"), source, context.clone())
}

pub(super) fn snapshot(cluster: &Arc<Cluster>, change: impl FnOnce(&mut Route)) -> Snapshot {
    let mut builder = Table::builder();
    let to = Action::Forward(Forward::new(ClusterChoice::One(builder.cluster("backend").unwrap())));
    let mut route = Route::new(RouteMatch::new(PathMatcher::prefix("/")), to);
    change(&mut route);
    builder.virtual_host(VirtualHost::new("all", &["*"]).route(route));
    let table = Arc::new(builder.build().unwrap());
    Snapshot::new("backend".into(), table).with_clusters([ClusterSlot::Ready(cluster.clone())])
}

pub(super) fn post<B>(body: B) -> Request<B> {
    Request::builder().method(Method::POST).uri("/some/where").body(body).unwrap()
}

/// A request body that a test feeds.
pub(super) struct Fed(mpsc::Receiver<Result<Frame<Bytes>, BoxError>>);

pub(super) type Feed = mpsc::Sender<Result<Frame<Bytes>, BoxError>>;

pub(super) fn fed() -> (Feed, Fed) {
    let (feed, body) = mpsc::channel(1);
    (feed, Fed(body))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx)
    }
}

/// A request body of many equal frames that counts what was taken of it.
pub(super) struct Repeat {
    pub(super) frame: Bytes,
    pub(super) left: usize,
    pub(super) taken: Arc<AtomicU32>,
}

impl Repeat {
    pub(super) fn new(frame: &'static [u8], left: usize) -> (Self, Arc<AtomicU32>) {
        let taken = Arc::new(AtomicU32::new(0));
        (Self { frame: Bytes::from_static(frame), left, taken: taken.clone() }, taken)
    }
}

impl Body for Repeat {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(self.frame.clone()))))
    }
}

/// Serves all connections of `acceptor`, each request in a task.
pub(super) fn serve<F, R>(acceptor: Acceptor, builder: Builder, handler: F)
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    serve_until(acceptor, builder, u32::MAX, handler);
}

/// As [`serve`]; each connection goes away after so many requests.
pub(super) fn serve_until<F, R>(mut acceptor: Acceptor, builder: Builder, most: u32, handler: F)
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(io) = acceptor.recv().await {
            let (builder, handler) = (builder.clone(), handler.clone());
            tokio::spawn(async move {
                let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
                let mut requests = 0;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(handler(request, respond));
                    requests += 1;
                    if requests == most {
                        connection.graceful_shutdown();
                    }
                }
            });
        }
    });
}

/// Reads a body to its end and says how long it was.
pub(super) async fn drain(body: &mut RecvStream) -> usize {
    let mut total = 0;
    while let Some(Ok(data)) = body.data().await {
        total += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    total
}

/// Sends `data` as the windows allow.
pub(super) async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return;
        };
        let chunk = data.split_to(room.min(data.len()));
        if stream.send_data(chunk, end && data.is_empty()).is_err() {
            return;
        }
    }
}

/// Answers 200 with the request's body, whole.
pub(super) async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut body = request.into_body();
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    let Ok(mut stream) = respond.send_response(Response::new(()), all.is_empty()) else { return };
    send(&mut stream, all.into(), true).await;
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
