//! A server of the mesh, as a process of its own, that says who comes and goes.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mesh_hyper::{Accepted, Mesh, Server, ServingState};
use tokio::io::{AsyncReadExt, stdin};

use crate::serial;
use crate::tale::{recorder, tell};

/// A connection, for as long as it or one of its requests is there.
struct Open(u64);

impl Drop for Open {
    fn drop(&mut self) {
        tell("gone", &self.0.to_string());
    }
}

/// Serves as the bootstrap in the file `bootstrap` says, until its standard input ends.
pub(crate) async fn serve(bootstrap: &str) -> ExitCode {
    let builder = Mesh::builder().bootstrap_file(bootstrap).recorder(recorder());
    let server = Server::bind(&builder.build().unwrap(), "127.0.0.1:0").await.unwrap();
    tell("address", &server.local_addr().to_string());
    let connections = AtomicU64::new(0);
    let server = server
        .drain_delay(Duration::ZERO)
        .on_state(|state| {
            if *state == ServingState::Serving {
                tell("serving", "");
            }
        })
        .on_accept(move |accepted| accept(accepted, connections.fetch_add(1, Ordering::SeqCst)));
    let served = tokio::spawn(server.serve(Router::new().route("/", get(async || "served"))));
    // Only its end is of interest.
    drop(stdin().read_to_end(&mut Vec::new()).await);
    served.abort();
    ExitCode::SUCCESS
}

fn accept(accepted: &mut Accepted<'_>, number: u64) {
    let shown = accepted.peer().certificate();
    let serial = shown.map_or_else(String::new, |shown| serial::of_certificate(&shown.der));
    tell("accepted", &format!("{number} {serial}"));
    accepted.extensions_mut().insert(Arc::new(Open(number)));
}
