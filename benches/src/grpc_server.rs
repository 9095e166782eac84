//! The mesh's server.

use std::net::Ipv4Addr;
use std::time::Duration;

use mesh_tonic::{Mesh, Server};
use tokio::io::AsyncReadExt;
use tonic::service::Routes;

use crate::shared::{Echo, Error};

/// Serves gRPC until standard input ends, and prints where. Its configuration is the one of a mesh
/// that is disabled: a listener, a filter chain and a route, as they come from anywhere else.
///
/// # Errors
/// A socket could not be bound.
pub async fn grpc_server() -> Result<(), Error> {
    let mesh = Mesh::disabled()?;
    let server = Server::bind(&mesh, (Ipv4Addr::LOCALHOST, 0)).await?;
    println!("grpc {}", server.local_addr());
    let end = async {
        // Whoever started this has gone, one way or the other.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    let routes = Routes::new(Echo).prepare();
    Ok(server.drain_delay(Duration::ZERO).shutdown(end).serve(routes).await?)
}
