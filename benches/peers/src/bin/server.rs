//! Every server of the bench in one process.

use mesh_bench_peers::server;
use mesh_bench_peers::shared::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    server().await
}
