//! tonic's server over a counting allocator: prints at its end how often and how much the process allocated.

use std::alloc::System;

use mesh_bench_peers::grpc_server;
use mesh_bench_peers::shared::Error;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    grpc_server().await?;
    let stats = ALLOCATOR.stats();
    println!("counted {} {}", stats.allocations + stats.reallocations, stats.bytes_allocated);
    Ok(())
}
