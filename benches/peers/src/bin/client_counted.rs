//! The peers over a counting allocator: prints how often and how much the process allocated.

use std::alloc::System;

use mesh_bench_peers::client;
use mesh_bench_peers::shared::Error;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Error> {
    client()?;
    let stats = ALLOCATOR.stats();
    println!("{} {}", stats.allocations + stats.reallocations, stats.bytes_allocated);
    Ok(())
}
