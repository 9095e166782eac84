//! Connections on which anything is said, in pieces of any size.

use std::convert::Infallible;
use std::future::Ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use mesh_hyper::ServerBody;
use mesh_hyper::testing::Mesh;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// As good as never: the clock jumps there when nothing else can happen.
const NEVER: Duration = Duration::from_secs(86_400);

/// Of what comes back on a connection. Each byte that is said can bring an answer of its own.
const MOST: usize = 16 << 20;

/// Bytes of a frame without content, such as one with no settings.
const FRAME: usize = 9;

/// The input is what a client says to a server, after a byte for the size of the pieces.
///
/// The connection ends when the input does, and what is denied never comes to the application.
pub(crate) fn inbound(input: &[u8]) {
    runtime().block_on(async {
        let mesh = Mesh::from_yaml(
            "{ version: mesh/v1, server: { 127.0.0.1:80: { tls: disable, deny: [{ paths: /admin* }],
               allow: [{}] } } }",
        );
        let mesh = mesh.expect("the configuration is good");
        let is_widened = Arc::new(AtomicBool::new(false));
        let seen = is_widened.clone();
        let app = Echo(move |request: &Request<ServerBody>| {
            if request.uri().path().starts_with("/admin") {
                seen.store(true, Ordering::Relaxed);
            }
        });
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let served = mesh.accept(address, server, app);
        let talk = async {
            let (mut heard, mut said) = tokio::io::split(&mut client);
            let say = async {
                for piece in pieces(input) {
                    // It may have been closed for what was said before.
                    if said.write_all(&piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                said.shutdown().await.ok();
            };
            tokio::join!(say, drained(&mut heard)).1
        };
        let both = async { tokio::join!(served, talk) };
        let (served, heard) = tokio::time::timeout(NEVER, both).await.expect("it ends");
        served.expect("the mesh has this data plane");
        assert!(heard <= MOST, "{heard} bytes came back");
        assert!(!is_widened.load(Ordering::Relaxed), "what is denied has come through");
    });
}

/// The input is what a server says to a client, after a byte for the size of the pieces, which also
/// says whether HTTP/2 is spoken.
///
/// The call ends, and nothing is heard that was not said.
pub(crate) fn outbound(input: &[u8]) {
    runtime().block_on(async {
        let mesh = Mesh::from_yaml(
            "{ version: mesh/v1, services: { a: { versions: { v1: 127.0.0.1:80 } },
               b: { protocol: grpc, versions: { v1: 127.0.0.1:81 } } } }",
        );
        let mesh = mesh.expect("the configuration is good");
        let is_http2 = input.first().is_some_and(|byte| byte & 1 == 1);
        let service = if is_http2 { "b" } else { "a" };
        let mut said = pieces(input);
        if is_http2 && said.first().is_some_and(|first| first.len() > FRAME) {
            // No request comes before the settings are there.
            let rest = said[0].split_off(FRAME);
            said.insert(1, rest);
        }
        mesh.backend(&format!("{service}/v1")).say(said);
        let call = async {
            let response = mesh.client().get(format!("http://{service}/")).await.ok()?;
            response.bytes().await.ok()
        };
        let heard = tokio::time::timeout(NEVER, call).await.expect("it ends");
        assert!(heard.is_none_or(|heard| heard.len() <= input.len()), "more than was said");
    });
}

/// What comes after the first byte, which says how long the pieces are.
fn pieces(input: &[u8]) -> Vec<Bytes> {
    let Some((size, rest)) = input.split_first() else { return Vec::new() };
    let size = match size >> 1 {
        0 => rest.len().max(1),
        size => usize::from(size),
    };
    rest.chunks(size).map(Bytes::copy_from_slice).collect()
}

async fn drained(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> usize {
    let (mut buffer, mut count) = ([0; 4096], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        count += read;
    }
    count
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime can be built")
}

/// The application: answers with what it is sent, after `look` has seen it.
#[derive(Clone)]
struct Echo<L>(L);

impl<L: Fn(&Request<ServerBody>)> tower_service::Service<Request<ServerBody>> for Echo<L> {
    type Response = Response<ServerBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ServerBody>) -> Self::Future {
        (self.0)(&request);
        std::future::ready(Ok(Response::new(request.into_body())))
    }
}
