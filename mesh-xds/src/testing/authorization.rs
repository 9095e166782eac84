//! An authorization service for tests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::permission::Permission;

/// An authorization service (`ext_authz`) for tests: says what it is told to, and keeps what it was
/// asked.
///
/// It speaks gRPC (`envoy.service.auth.v3.Authorization`) and HTTP at the same address, HTTP/1.1 as
/// well as HTTP/2 without TLS. Allows everything until it is told otherwise. Cheap to clone; stops
/// with its last clone.
///
/// # Examples
///
/// ```
/// use mesh_xds::testing::{Authorization, Permission};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = Authorization::new();
/// let address = service.listen("127.0.0.1:0").await?; // for the cluster that `ext_authz` names
/// service.answer(Permission::denied(401).header("www-authenticate", "Basic").body("who?"));
/// // Requests to a server of the mesh get 401 now.
/// assert!(service.asked().is_empty());
/// # let _ = address;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Authorization(Arc<Inner>);

struct Inner {
    state: Arc<Mutex<State>>,
    servers: Mutex<Vec<AbortHandle>>,
}

struct State {
    answer: Permission,
    delay: Duration,
    asked: Vec<Asked>,
}

/// What an [`Authorization`] was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The method of the request that it is about.
    pub method: String,
    /// Its path and query; over HTTP with the prefix that is configured.
    pub path: String,
    /// Its header fields, as far as they are shown.
    pub headers: BTreeMap<String, String>,
    /// Its body, as far as it is shown.
    pub body: Bytes,
    /// Who has made it (`source.principal`); over HTTP nobody is named.
    pub principal: String,
    /// What the route adds (`context_extensions`); over HTTP nothing.
    pub extensions: BTreeMap<String, String>,
}

impl Authorization {
    /// A service that allows everything.
    #[must_use]
    pub fn new() -> Self {
        let (answer, delay, asked) = (Permission::allowed(), Duration::ZERO, Vec::new());
        let state = Arc::new(Mutex::new(State { answer, delay, asked }));
        Self(Arc::new(Inner { state, servers: Mutex::default() }))
    }

    /// Answers at `address`, on the runtime around, and says where that is.
    ///
    /// # Errors
    /// When there can be no socket at `address`.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let serving = Server::builder().accept_http1(true);
        let serving = serving
            .serve_with_incoming(Answering(self.0.state.clone()), TcpListenerStream::new(socket));
        // A test that ends first has seen all that it wanted.
        let task = tokio::spawn(async { drop(serving.await) });
        lock(&self.0.servers).push(task.abort_handle());
        Ok(address)
    }

    /// Says this from now on.
    pub fn answer(&self, permission: Permission) {
        lock(&self.0.state).answer = permission;
    }

    /// Thinks for so long before it answers, from now on. Default: not at all.
    pub fn delay(&self, delay: Duration) {
        lock(&self.0.state).delay = delay;
    }

    /// What it was asked since the last time, in that order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.0.state).asked)
    }
}

impl Default for Authorization {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.servers).iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("answer", &lock(&self.0.state).answer).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both services.
#[derive(Clone)]
struct Answering(Arc<Mutex<State>>);

impl Answering {
    /// Keeps what is asked, thinks, and says what it was told to when it was asked.
    async fn decide(&self, asked: Asked) -> Permission {
        let (answer, delay) = {
            let mut state = lock(&self.0);
            state.asked.push(asked);
            (state.answer.clone(), state.delay)
        };
        tokio::time::sleep(delay).await;
        answer
    }

    async fn http(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (head, body) = request.into_parts();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let asked = Asked {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: headers.collect(),
            body: read(body).await?,
            ..Asked::default()
        };
        Ok(self.decide(asked).await.http())
    }
}

async fn read(mut body: Body) -> Result<Bytes, Status> {
    let mut all = bytes::BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

impl Service<http::Request<Body>> for Answering {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answering = self.clone();
        Box::pin(async move {
            if request.uri().path() == "/envoy.service.auth.v3.Authorization/Check" {
                let codec = ProstCodec::<CheckResponse, CheckRequest>::default();
                return Ok(Grpc::new(codec).unary(answering, request).await);
            }
            Ok(answering.http(request).await.unwrap_or_else(Status::into_http))
        })
    }
}

impl UnaryService<CheckRequest> for Answering {
    type Response = CheckResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<CheckResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let answering = self.clone();
        Box::pin(async move {
            let permission = answering.decide(asked(request.into_inner())).await;
            permission.grpc().map(Response::new)
        })
    }
}

fn asked(request: CheckRequest) -> Asked {
    let attributes = request.attributes.unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let body = if http.raw_body.is_empty() { http.body.into() } else { http.raw_body.into() };
    Asked {
        method: http.method,
        path: http.path,
        headers: http.headers.into_iter().collect(),
        body,
        principal: attributes.source.map(|source| source.principal).unwrap_or_default(),
        extensions: attributes.context_extensions.into_iter().collect(),
    }
}
