//! The mesh's server.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use mesh_tonic::{Mesh, Server};
use tokio::io::AsyncReadExt;
use tonic::service::Routes;

use crate::policies;
use crate::shared::{Echo, Error};

/// Serves gRPC until standard input ends, and prints where.
///
/// Without an argument its configuration is the one of a mesh that is disabled: a listener, a
/// filter chain and a route, as they come from anywhere else. With a number it is a file, and that
/// many policies, the last of which allows the call.
///
/// # Errors
/// A socket could not be bound, or the file not be written.
pub async fn grpc_server() -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let file = match std::env::args().nth(1) {
        Some(policies) => Some(configuration(&listener, policies.parse()?)?),
        None => None,
    };
    let mesh = match &file {
        Some(file) => Mesh::from_file(file)?,
        None => Mesh::disabled()?,
    };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = Server::from_listener(&mesh, listener)?;
    let address = server.local_addr().clone();
    let end = async {
        // Whoever started this has gone, one way or the other.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    let server = server.drain_delay(Duration::ZERO).shutdown(end).on_state(move |state| {
        if *state == mesh_tonic::ServingState::Serving {
            println!("grpc {address}");
        }
    });
    let served = server.serve(Routes::new(Echo).prepare()).await;
    if let Some(file) = file {
        std::fs::remove_file(file)?;
    }
    Ok(served?)
}

fn configuration(listener: &TcpListener, policies: usize) -> Result<PathBuf, Error> {
    let port = listener.local_addr()?.port();
    let file = std::env::temp_dir().join(format!("mesh-bench-{}-{port}.yaml", std::process::id()));
    std::fs::write(&file, policies::listener(port, policies))?;
    Ok(file)
}
