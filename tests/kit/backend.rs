//! A backend on loopback that says its name.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::transport::server::Connected;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::Message;
use crate::echo::CHAT;

/// A gRPC server that answers every message with its name. Stops when it is dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Backend {
    /// Starts a backend called `name` on a free port.
    pub async fn start(name: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        Ok(Self::start_on(name, address, incoming))
    }

    /// Starts a backend called `name` on the connections that come `in`, to `address`.
    pub(crate) fn start_on<I>(
        name: &str,
        address: SocketAddr,
        incoming: impl Stream<Item = std::io::Result<I>> + Send + 'static,
    ) -> Self
    where
        I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let calls = Arc::new(AtomicU64::new(0));
        let echo = Echo { name: name.into(), calls: calls.clone() };
        let server = tonic::transport::Server::builder().add_service(echo);
        let task = tokio::spawn(server.serve_with_incoming(incoming)).abort_handle();
        Self { address, calls, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls that have reached it, streams among them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The same service without a server of its own.
#[must_use]
pub fn service(name: &str) -> tonic::service::Routes {
    tonic::service::Routes::new(Echo { name: name.into(), calls: Arc::default() }).prepare()
}

#[derive(Clone)]
struct Echo {
    name: Arc<str>,
    calls: Arc<AtomicU64>,
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Message, Message>::default());
            Ok(match request.uri().path() {
                CHAT => grpc.streaming(echo, request).await,
                _ => grpc.unary(echo, request).await,
            })
        })
    }
}

impl UnaryService<Message> for Echo {
    type Response = Message;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Message>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let text = self.name.to_string();
        let asked = request.into_inner().text;
        Box::pin(async move {
            match asked.strip_prefix("fail:").and_then(|code| code.parse().ok()) {
                Some(code) => Err(Status::new(Code::from_i32(code), text)),
                None => Ok(tonic::Response::new(Message { text })),
            }
        })
    }
}

impl StreamingService<Message> for Echo {
    type Response = Message;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Message>>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let name = self.name.clone();
        let answers = request
            .into_inner()
            .map(move |asked| asked.map(|_| Message { text: name.to_string() }));
        ready(Ok(tonic::Response::new(Box::pin(answers))))
    }
}
