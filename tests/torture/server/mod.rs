//! A backend on hyper that does what the method says, on three ports with a setting each.
//!
//! `tests/interop/rig/torture_backend.py` is the same on C-core.

mod ledger;
mod script;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::server::Grpc;

use crate::codec::Raw;
use ledger::Ledger;
use script::Script;

/// What distinguishes a port.
#[derive(Clone, Copy)]
struct Setting {
    max_concurrent_streams: u32,
    /// After so many requests, a connection goes away.
    requests: u32,
}

const SETTINGS: [Setting; 3] = [
    Setting { max_concurrent_streams: 2_000, requests: u32::MAX },
    Setting { max_concurrent_streams: 1, requests: u32::MAX },
    Setting { max_concurrent_streams: 2_000, requests: 50 },
];

/// Serves on three free ports: without limits, one stream at a time, 50 requests a connection.
pub(crate) async fn start() -> [SocketAddr; 3] {
    let ledger = Arc::new(Ledger::default());
    let mut addresses = Vec::new();
    for setting in SETTINGS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        tokio::spawn(accept(listener, setting, ledger.clone()));
    }
    addresses.try_into().unwrap()
}

async fn accept(listener: TcpListener, setting: Setting, ledger: Arc<Ledger>) {
    while let Ok((stream, peer)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream, peer, setting, ledger.clone()));
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, setting: Setting, ledger: Arc<Ledger>) {
    let due = Arc::new(Notify::new());
    let requests = AtomicU32::new(0);
    let answer = service_fn(|request: Request<Incoming>| {
        if requests.fetch_add(1, Ordering::Relaxed) + 1 == setting.requests {
            due.notify_one();
        }
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().into();
        let script = Script { method, peer, ledger: ledger.clone() };
        async move {
            let answer = Grpc::new(Raw).streaming(script, request.map(Body::new)).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(setting.max_concurrent_streams)
        .initial_stream_window_size(1 << 20)
        // h2 charges small frames that nobody has read yet to a budget of half this window, and
        // closes the connection when that is used up: this is enough for some 30 000 of them.
        .initial_connection_window_size(16 << 20);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answer));
    // Whatever breaks a connection, the client sees it.
    let ended = tokio::select! {
        _ = connection.as_mut() => true,
        () = due.notified() => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        connection.await.ok();
    }
}
