//! The mesh's server: for counting instructions.

use mesh_benches::grpc_server;
use mesh_benches::shared::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    grpc_server().await
}
