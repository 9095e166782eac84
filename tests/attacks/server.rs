//! A mesh server whose application counts, as a process of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{any, get};
use mesh_core::cluster::Address;
use mesh_hyper::{Mesh, Server, ServingState};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_stream::StreamExt;

#[derive(Default)]
struct Ledger {
    good: AtomicU64,
    started: AtomicU64,
    ended: AtomicU64,
}

/// A call that counts as ended when it is gone.
struct Call(Arc<Ledger>);

impl Call {
    fn start(ledger: &Arc<Ledger>) -> Self {
        ledger.started.fetch_add(1, Ordering::SeqCst);
        Self(ledger.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Says where it serves, and for each line of its input what it has counted.
pub(crate) async fn serve() -> ExitCode {
    let ledger = Arc::new(Ledger::default());
    let mesh = Mesh::disabled().unwrap();
    let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let Address::Socket(address) = server.local_addr().clone() else { panic!("not TCP") };
    let server = server.drain_delay(Duration::ZERO).header_timeout(Duration::from_secs(5));
    let server = server.on_state(move |state| {
        if *state == ServingState::Serving {
            println!("{address}");
        }
    });
    let served = tokio::spawn(server.serve(router(ledger.clone())));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        // Ends first: what begins in between is no end without a beginning.
        let ended = count(&ledger.ended);
        println!("{} {} {ended}", count(&ledger.good), count(&ledger.started));
    }
    served.abort();
    ExitCode::SUCCESS
}

fn router(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/good", get(good))
        .route("/large", get(large))
        .route("/quick", any(quick))
        .route("/read", any(read))
        .fallback(wait)
        .with_state(ledger)
}

async fn good(State(ledger): State<Arc<Ledger>>) -> &'static str {
    ledger.good.fetch_add(1, Ordering::SeqCst);
    "served"
}

async fn quick(State(ledger): State<Arc<Ledger>>) {
    drop(Call::start(&ledger));
}

/// Reads until the body ends or breaks.
async fn read(State(ledger): State<Arc<Ledger>>, body: Body) {
    let _call = Call::start(&ledger);
    let mut pieces = body.into_data_stream();
    while let Some(Ok(_)) = pieces.next().await {}
}

/// Never answers, and does not read either.
async fn wait(State(ledger): State<Arc<Ledger>>) {
    let _call = Call::start(&ledger);
    std::future::pending().await
}

/// Answers without end.
async fn large(State(ledger): State<Arc<Ledger>>) -> Body {
    let call = Call::start(&ledger);
    let piece = Bytes::from(vec![7; 16 * 1024]);
    Body::from_stream(tokio_stream::iter(std::iter::repeat(piece)).map(move |piece| {
        let _call = &call;
        Ok::<_, std::convert::Infallible>(piece)
    }))
}
