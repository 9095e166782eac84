//! A gRPC service: the answers say who answers.

use http::uri::PathAndQuery;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::{IntoRequest, IntoStreamingRequest, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The path of streams in both directions; all others are unary.
pub(crate) const CHAT: &str = "/test.Echo/Chat";

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

    /// Opens a stream in both directions; each message is answered by one.
    ///
    /// # Errors
    /// Whatever the call ends with before its first answer.
    pub async fn chat(
        &mut self,
        requests: impl Stream<Item = Message> + Send + 'static,
    ) -> Result<Response<Streaming<Message>>, Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(error.into().to_string()))?;
        let path = PathAndQuery::from_static(CHAT);
        let codec = ProstCodec::<Message, Message>::default();
        self.inner.streaming(requests.into_streaming_request(), path, codec).await
    }
}
