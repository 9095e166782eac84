//! The gRPC service, shaped as `tonic-build` generates it: there is no `protoc` to install first.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use http::uri::PathAndQuery;
use tonic::{
    IntoRequest, Request, Response, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codegen::{Body as HttpBody, Bytes, Service, StdError},
    server::{self, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

/// Who wants to be greeted.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct HelloRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// The greeting.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct HelloReply {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
    /// Which backend answers.
    #[prost(string, tag = "2")]
    pub(crate) backend: String,
}

/// The client.
#[derive(Clone, Debug)]
pub(crate) struct GreeterClient<T> {
    inner: Grpc<T>,
}

impl<T> GreeterClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    pub(crate) fn new(channel: T) -> Self {
        Self { inner: Grpc::new(channel) }
    }

    pub(crate) async fn say_hello(
        &mut self,
        request: impl IntoRequest<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(error.into().to_string()))?;
        let path = PathAndQuery::from_static("/helloworld.Greeter/SayHello");
        let codec = ProstCodec::<HelloRequest, HelloReply>::default();
        self.inner.unary(request.into_request(), path, codec).await
    }
}

/// The service of one backend: says its name and counts its calls.
#[derive(Clone, Debug)]
pub(crate) struct Greeter {
    pub(crate) backend: Arc<str>,
    pub(crate) calls: Arc<AtomicU64>,
}

impl NamedService for Greeter {
    const NAME: &'static str = "helloworld.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let greeter = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<HelloReply, HelloRequest>::default();
            Ok(server::Grpc::new(codec).unary(greeter, request).await)
        })
    }
}

impl UnaryService<HelloRequest> for Greeter {
    type Response = HelloReply;
    type Future = std::future::Ready<Result<Response<HelloReply>, Status>>;

    fn call(&mut self, request: Request<HelloRequest>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let message = format!("hello, {}", request.into_inner().name);
        let reply = HelloReply { message, backend: self.backend.to_string() };
        std::future::ready(Ok(Response::new(reply)))
    }
}
