//! An axum application as a server of the mesh.
//!
//! ```text
//! GRPC_XDS_BOOTSTRAP=bootstrap.json cargo run -p mesh-examples --bin axum-server
//! ```

use axum::{Router, routing::get};
use mesh_hyper::{Mesh, Peer, Server, signal};

async fn home(peer: Peer) -> String {
    format!("Hello {:?}!\n", peer.remote)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mesh = Mesh::from_env()?;
    let server = Server::bind(&mesh, "0.0.0.0:8080").await?.probes("0.0.0.0:8081");
    let app = Router::new().route("/", get(home)).with_state(());
    Ok(server.shutdown(signal::terminate()).serve(app).await?)
}
