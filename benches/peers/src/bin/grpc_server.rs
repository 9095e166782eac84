//! tonic's server: for counting instructions.

use mesh_bench_peers::grpc_server;
use mesh_bench_peers::shared::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    grpc_server().await
}
