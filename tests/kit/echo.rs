//! A unary gRPC service: the answer says who answered and what was asked.

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::{IntoRequest, Response, Status};
use tonic_prost::ProstCodec;

/// What travels in both directions.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Message {
    /// In an answer, the name of the backend.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// A client shaped as generated ones are.
#[derive(Clone, Debug)]
pub struct EchoClient<T> {
    inner: Grpc<T>,
}

impl<T> EchoClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// A client over `channel`.
    pub fn new(channel: T) -> Self {
        Self { inner: Grpc::new(channel) }
    }

    /// Calls `path`, such as `/test.Echo/Say`.
    ///
    /// # Errors
    /// Whatever the call ends with.
    pub async fn call(
        &mut self,
        path: &'static str,
        request: impl IntoRequest<Message>,
    ) -> Result<Response<Message>, Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(error.into().to_string()))?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Message, Message>::default();
        self.inner.unary(request.into_request(), path, codec).await
    }
}
