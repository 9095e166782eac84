//! The peers, as they are: for counting instructions.

use mesh_bench_peers::client;
use mesh_bench_peers::shared::Error;

fn main() -> Result<(), Error> {
    client()
}
