//! The echo service: its message, its paths, and a client shaped as generated code is.

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::{GrpcMethod, IntoRequest, IntoStreamingRequest, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The service's full name.
pub const SERVICE: &str = "bench.Echo";

/// Path of the unary method: the answer is the request.
pub const METHOD_UNARY: &str = "/bench.Echo/Unary";

/// Path of the bidirectional method: every message comes back, in order.
pub const METHOD_STREAM: &str = "/bench.Echo/Stream";

/// What travels in both directions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    /// Opaque bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

impl Payload {
    pub(super) fn zeros(size: usize) -> Self {
        Self { data: vec![0; size] }
    }
}

#[derive(Clone)]
pub(super) struct EchoClient<T> {
    inner: Grpc<T>,
}

impl<T> EchoClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    pub(super) fn new(channel: T) -> Self {
        Self { inner: Grpc::new(channel) }
    }

    pub(super) async fn unary(
        &mut self,
        request: impl IntoRequest<Payload>,
    ) -> Result<Response<Payload>, Status> {
        self.ready().await?;
        let mut request = request.into_request();
        request.extensions_mut().insert(GrpcMethod::new(SERVICE, "Unary"));
        let path = PathAndQuery::from_static(METHOD_UNARY);
        self.inner.unary(request, path, ProstCodec::<Payload, Payload>::default()).await
    }

    pub(super) async fn stream(
        &mut self,
        request: impl IntoStreamingRequest<Message = Payload>,
    ) -> Result<Response<Streaming<Payload>>, Status> {
        self.ready().await?;
        let mut request = request.into_streaming_request();
        request.extensions_mut().insert(GrpcMethod::new(SERVICE, "Stream"));
        let path = PathAndQuery::from_static(METHOD_STREAM);
        self.inner.streaming(request, path, ProstCodec::<Payload, Payload>::default()).await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.inner
            .ready()
            .await
            .map_err(|error| Status::unknown(format!("service was not ready: {}", error.into())))
    }
}
