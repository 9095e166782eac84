//! A service with one method of each kind, by hand.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request as HttpRequest, Response as HttpResponse};
use mesh_tests::Message;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::{CompressionEncoding, EnabledCompressionEncodings};
use tonic::codegen::Service;
use tonic::server::{
    ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService,
    UnaryService,
};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// Starts the service on a free port.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(Kinds);
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

#[derive(Clone)]
pub(crate) struct Kinds;

impl NamedService for Kinds {
    const NAME: &'static str = "test.Kinds";
}

impl Service<HttpRequest<Body>> for Kinds {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        Box::pin(async move {
            let mut gzip = EnabledCompressionEncodings::default();
            gzip.enable(CompressionEncoding::Gzip);
            let codec = ProstCodec::<Message, Message>::default();
            let mut grpc = Grpc::new(codec).apply_compression_config(gzip, gzip);
            Ok(match request.uri().path() {
                "/test.Kinds/Unary" => grpc.unary(Self, request).await,
                "/test.Kinds/ServerStream" => grpc.server_streaming(Self, request).await,
                "/test.Kinds/ClientStream" => grpc.client_streaming(Self, request).await,
                _ => grpc.streaming(Self, request).await,
            })
        })
    }
}

/// Gives the metadata back, under other names, and says what arrived.
impl UnaryService<Message> for Kinds {
    type Response = Message;
    type Future = Answer<Message>;

    fn call(&mut self, request: Request<Message>) -> Answer<Message> {
        Box::pin(async move {
            if request.get_ref().text == "never" {
                std::future::pending::<()>().await;
            }
            if request.get_ref().text == "refuse" {
                let mut status = Status::failed_precondition("not today");
                status.metadata_mut().insert("x-why", "tuesday".parse().unwrap());
                return Err(status);
            }
            let metadata = request.metadata().clone();
            let text = metadata.get("grpc-timeout").map_or("none", |t| t.to_str().unwrap());
            let mut response = Response::new(Message { text: text.to_owned() });
            for name in ["x-text", "grpc-encoding", "te"] {
                if let Some(value) = metadata.get(name) {
                    let seen = format!("seen-{name}").parse::<tonic::metadata::AsciiMetadataKey>();
                    response.metadata_mut().insert(seen.unwrap(), value.clone());
                }
            }
            if let Some(value) = metadata.get_bin("x-bytes-bin") {
                response.metadata_mut().insert_bin("seen-bytes-bin", value.clone());
            }
            Ok(response)
        })
    }
}

/// Counts up to the number that was sent.
impl ServerStreamingService<Message> for Kinds {
    type Response = Message;
    type ResponseStream = Messages;
    type Future = Answer<Messages>;

    fn call(&mut self, request: Request<Message>) -> Answer<Messages> {
        let count: u32 = request.into_inner().text.parse().unwrap();
        let messages = (0..count).map(|n| Ok(Message { text: n.to_string() }));
        Box::pin(
            async move { Ok(Response::new(Box::pin(tokio_stream::iter(messages)) as Messages)) },
        )
    }
}

/// Says how many messages came.
impl ClientStreamingService<Message> for Kinds {
    type Response = Message;
    type Future = Answer<Message>;

    fn call(&mut self, request: Request<Streaming<Message>>) -> Answer<Message> {
        Box::pin(async move {
            let mut messages = request.into_inner();
            let mut count = 0;
            while messages.message().await?.is_some() {
                count += 1;
            }
            Ok(Response::new(Message { text: count.to_string() }))
        })
    }
}

/// Sends each message back.
impl StreamingService<Message> for Kinds {
    type Response = Message;
    type ResponseStream = Messages;
    type Future = Answer<Messages>;

    fn call(&mut self, request: Request<Streaming<Message>>) -> Answer<Messages> {
        let echoes = request
            .into_inner()
            .map(|message| message.map(|m| Message { text: format!("echo {}", m.text) }));
        Box::pin(async move { Ok(Response::new(Box::pin(echoes) as Messages)) })
    }
}
