//! A service between callers and backends that are not ours, for `tests/interop/context.py`.
//!
//! ```text
//! relay FILE [alone]  FILE: services `grpc-once`, `grpc-usual` and any for HTTP, in the short form
//!                     lines on stdout: `grpc`, port; `http`, port; `began` and `ended` of each handler
//! ```
//!
//! A handler waits for as long as `x-wait-ms` says and then calls the service that `x-next` names.
//! What that answers is its answer. With `alone` the call belongs to no request. Ends with its
//! standard input.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a panic")]

mod grpc;
mod web;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use mesh_core::cluster::Address;
use mesh_hyper::{InRequest, Inheriting, Mesh, Server};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mesh = Mesh::from_file(PathBuf::from(arguments.next().unwrap())).unwrap();
    let ties = match arguments.next().as_deref() {
        None => Ties::Request,
        Some("alone") => Ties::None,
        Some(other) => panic!("{other:?} is nothing to tell a relay"),
    };
    // Who asks it is nobody's concern here.
    let plain = Mesh::disabled().unwrap();
    let server = mesh_tonic::Server::bind(&plain, "127.0.0.1:0").await.unwrap();
    println!("grpc {}", port(&server));
    tokio::spawn(server.serve(grpc::service(&mesh, ties)));
    let server = Server::bind(&plain, "127.0.0.1:0").await.unwrap();
    println!("http {}", port(&server));
    tokio::spawn(server.serve(web::service(&mesh, ties)));
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.unwrap().unwrap();
}

fn port(server: &Server) -> u16 {
    let Address::Socket(address) = server.local_addr() else { panic!("not TCP") };
    address.port()
}

/// What calls belong to.
#[derive(Clone, Copy, Debug)]
enum Ties {
    /// The request that is being served.
    Request,
    /// Nothing.
    None,
}

impl Ties {
    fn tie<F: Future>(self, call: F) -> Inheriting<F> {
        match self {
            Self::Request => call.in_request(),
            Self::None => call.outside_request(),
        }
    }
}

/// A handler that runs. Says so, and when it does not any more, whatever the reason.
struct Running(());

impl Running {
    fn new() -> Self {
        println!("began");
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        println!("ended");
    }
}

/// Waits for as long as the caller says, if it says anything.
async fn wait(headers: &HeaderMap) {
    if let Some(millis) = headers.get("x-wait-ms") {
        let millis = millis.to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// The service that the caller names.
fn next(headers: &HeaderMap) -> &str {
    headers.get("x-next").unwrap().to_str().unwrap()
}
