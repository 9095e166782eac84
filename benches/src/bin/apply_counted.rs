//! What configuration allocates and keeps, over a counting allocator: prints figures.

use std::alloc::System;

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use mesh_benches::apply::{self, ControlSide, Mesh};
use mesh_benches::shared::Error;
use prost::Message;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 10_000;
const CYCLES: usize = 1_000;

fn main() -> Result<(), Error> {
    change()?;
    kept("endpoint", &Mesh::new(1, 1), &Mesh::new(1, MANY))?;
    kept("cluster", &Mesh::new(1, 1), &Mesh::new(MANY, 1))?;
    cycles()
}

/// Allocations for one changed endpoint of many, once the response is decoded.
fn change() -> Result<(), Error> {
    let mut side = ControlSide::new();
    side.add()?;
    side.serve(&Mesh::new(1, MANY))?;
    let mut count = 0;
    for weight in [2, 3] {
        let changed = apply::assignment(&apply::cluster(0), 0, MANY, Some((MANY / 2, weight)));
        let response = DeltaDiscoveryResponse::decode(&*apply::update(&changed))?;
        let before = allocations();
        side.handle(response)?;
        side.acknowledge();
        count = allocations() - before;
    }
    println!("allocations.change {count}");
    Ok(())
}

/// Bytes that each of many keeps, and how much of all is left when they are gone.
fn kept(what: &str, few: &Mesh, many: &Mesh) -> Result<(), Error> {
    let base = live();
    let mut side = ControlSide::new();
    side.add()?;
    side.serve(few)?;
    let small = live() - base;
    drop(side);

    let base = live();
    let mut side = ControlSide::new();
    let empty = live() - base;
    side.add()?;
    side.serve(many)?;
    let large = live() - base;
    side.remove()?;
    let left = live() - base;
    drop(side);
    println!("bytes.{what} {}", ratio(large - small, MANY - 1));
    println!("removal.{what} {}", ratio(left - empty, large));
    Ok(())
}

/// How much more is kept after a cluster came and went many times.
fn cycles() -> Result<(), Error> {
    let (one, two) = (Mesh::new(1, 100), Mesh::new(2, 100));
    let mut side = ControlSide::new();
    side.add()?;
    side.serve(&one)?;
    let mut cycle = || {
        side.receive(two.routes()?)?;
        side.serve(&two)?;
        side.receive(one.routes()?)?;
        side.serve(&one)
    };
    cycle()?;
    let before = live();
    for _ in 0..CYCLES {
        cycle()?;
    }
    println!("cycles {}", ratio(live(), before));
    Ok(())
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(of: usize, to: usize) -> f64 {
    of as f64 / to as f64
}
