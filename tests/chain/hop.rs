//! One instance of one of the services.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use mesh_core::cluster::Address;
use mesh_tests::{EchoClient, Message};
use mesh_tonic::{Channel, Mesh, Server};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::handlers::Handlers;

/// What the last service takes to answer.
const WORK: Duration = Duration::from_millis(20);

/// What the others take before they ask on.
const OWN_WORK: Duration = Duration::from_millis(2);

/// How much longer all of it takes in a zone that is slow.
const SLOWER: u32 = 10;

/// What the last service takes to fail.
const FAILING: Duration = Duration::from_millis(5);

/// What is wrong with the world.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// The first zone is slow.
    pub(crate) is_slow: AtomicBool,
    /// The last service fails.
    pub(crate) is_failing: AtomicBool,
    /// Calls that have reached the last service.
    pub(crate) attempts: AtomicU64,
    pub(crate) handlers: Handlers,
}

/// An instance. Stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) address: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

impl Hop {
    /// An instance in `zone` that asks `next`, or is the last.
    pub(crate) async fn start(zone: usize, next: Option<Channel>, weather: &Arc<Weather>) -> Self {
        // What it is asked is nobody's concern but that of the callers.
        let mesh = Mesh::disabled().unwrap();
        let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
        let &Address::Socket(address) = server.local_addr() else {
            unreachable!("it was asked for a port")
        };
        let task = tokio::spawn(server.serve(service(zone, next, weather)));
        Self { address, task }
    }
}

/// What an instance in `zone` does.
pub(crate) fn service(zone: usize, next: Option<Channel>, weather: &Arc<Weather>) -> Routes {
    let next = next.map(EchoClient::new);
    Routes::new(Work { zone, next, weather: weather.clone() }).prepare()
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Work {
    zone: usize,
    next: Option<EchoClient<Channel>>,
    weather: Arc<Weather>,
}

impl Work {
    async fn work(mut self) -> Result<tonic::Response<Message>, Status> {
        let _running = self.weather.handlers.enter();
        let is_slow = self.zone == 0 && self.weather.is_slow.load(Ordering::Relaxed);
        let times = if is_slow { SLOWER } else { 1 };
        let Some(next) = &mut self.next else {
            self.weather.attempts.fetch_add(1, Ordering::Relaxed);
            if self.weather.is_failing.load(Ordering::Relaxed) {
                sleep(FAILING).await;
                return Err(Status::new(Code::Unavailable, "it fails"));
            }
            sleep(WORK * times).await;
            return Ok(tonic::Response::new(Message::default()));
        };
        sleep(OWN_WORK * times).await;
        next.call(crate::traffic::SAY, Message::default()).await
    }
}

impl NamedService for Work {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<Body>> for Work {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let work = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::<Message, Message>::default()).unary(work, request).await)
        })
    }
}

impl UnaryService<Message> for Work {
    type Response = Message;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Message>, Status>> + Send>>;

    fn call(&mut self, _: tonic::Request<Message>) -> Self::Future {
        Box::pin(self.clone().work())
    }
}
