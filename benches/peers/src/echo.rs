//! The echo service over gRPC, shaped as generated code is.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::shared::{METHOD_STREAM, METHOD_UNARY, Payload, SERVICE};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Payload, Payload>::default());
            Ok(match request.uri().path() {
                METHOD_UNARY => grpc.unary(service_fn(unary), request).await,
                METHOD_STREAM => grpc.streaming(service_fn(stream), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

fn unary(request: Request<Payload>) -> Ready<Result<Response<Payload>, Status>> {
    ready(Ok(Response::new(request.into_inner())))
}

fn stream(
    request: Request<Streaming<Payload>>,
) -> Ready<Result<Response<Streaming<Payload>>, Status>> {
    ready(Ok(Response::new(request.into_inner())))
}
