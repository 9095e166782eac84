//! The relay for gRPC: any method of one service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_tests::{EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic_prost::ProstCodec;

use crate::{Running, Ties, next, wait};

/// The method of the backends.
const SAY: &str = "/test.Echo/Say";

pub(crate) fn service(mesh: &Mesh, ties: Ties) -> Routes {
    let next = ["grpc-once", "grpc-usual"].map(|name| {
        let channel = Channel::new(mesh, &format!("xds:///{name}")).unwrap();
        (name, EchoClient::new(channel))
    });
    Routes::new(Relay { next, ties }).prepare()
}

#[derive(Clone)]
struct Relay {
    next: [(&'static str, EchoClient<Channel>); 2],
    ties: Ties,
}

impl Relay {
    async fn relay(
        self,
        request: tonic::Request<Message>,
    ) -> Result<tonic::Response<Message>, Status> {
        let _running = Running::new();
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        wait(&headers).await;
        let next = next(&headers);
        let (_, mut client) = self.next.into_iter().find(|(name, _)| *name == next).unwrap();
        self.ties.tie(async move { client.call(SAY, message).await }).await
    }
}

impl NamedService for Relay {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<Body>> for Relay {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::<Message, Message>::default()).unary(relay, request).await)
        })
    }
}

impl UnaryService<Message> for Relay {
    type Response = Message;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Message>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        Box::pin(self.clone().relay(request))
    }
}
