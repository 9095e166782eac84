//! The mesh's server.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use mesh_tonic::{Mesh, Server};
use tokio::io::AsyncReadExt;
use tonic::service::Routes;

use crate::shared::{Echo, Error};
use crate::{listener, tls};

/// Serves gRPC until standard input ends, and prints where.
///
/// Without an argument its configuration is the one of a mesh that is disabled: a listener, a
/// filter chain and a route, as they come from anywhere else. With a number it is a file, and that
/// many policies, the last of which allows the call; with `tls`, clients must prove who they are.
///
/// # Errors
/// A socket could not be bound, or the file not be written.
pub async fn grpc_server() -> Result<(), Error> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    let resource = match std::env::args().nth(1).as_deref() {
        Some("tls") => Some(listener::secured(port)),
        Some(policies) => Some(listener::guarded(port, policies.parse()?)),
        None => None,
    };
    let file = resource.map(|resource| temporary(port, &resource)).transpose()?;
    let mesh = match &file {
        Some(file) => {
            Mesh::builder().files(file).identity("default", tls::identity("server")?).build()?
        }
        None => Mesh::disabled()?,
    };
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let server = Server::from_listener(&mesh, socket)?;
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

/// A file with `text`, of which there is one for each port.
pub(crate) fn temporary(port: u16, text: &str) -> Result<PathBuf, Error> {
    let file = std::env::temp_dir().join(format!("mesh-bench-{}-{port}.yaml", std::process::id()));
    std::fs::write(&file, text)?;
    Ok(file)
}
