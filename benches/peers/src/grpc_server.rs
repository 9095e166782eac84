//! tonic's server, which the mesh's is measured against.

use tokio::io::AsyncReadExt;
use tonic::transport::Server;

use crate::server::{bind, incoming};
use crate::shared::{Echo, Error};

/// Serves gRPC until standard input ends, and prints where.
///
/// # Errors
/// A socket could not be bound.
pub async fn grpc_server() -> Result<(), Error> {
    let (listener, address) = bind().await?;
    println!("grpc {address}");
    let end = async {
        // Whoever started this has gone, one way or the other.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    let server = Server::builder().add_service(Echo);
    Ok(server.serve_with_incoming_shutdown(incoming(listener), end).await?)
}
