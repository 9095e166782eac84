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
    back("small", &[1])?;
    back("service", &[10; 100])
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

/// Bytes that each of many keeps.
fn kept(what: &str, few: &Mesh, many: &Mesh) -> Result<(), Error> {
    let of = |mesh: &Mesh| {
        let before = live();
        let mut side = ControlSide::new();
        side.add()?;
        side.serve(mesh)?;
        Ok::<_, Error>(live() - before)
    };
    println!("bytes.{what} {}", ratio(of(many)? - of(few)?, MANY - 1));
    Ok(())
}

/// How far from where they were the live bytes of a target with clusters of `sizes` are after more
/// has come and gone: a cluster with many endpoints, many clusters, and over and over another
/// cluster, or the target itself.
fn back(baseline: &str, sizes: &[usize]) -> Result<(), Error> {
    let few = || sizes.iter().copied().enumerate();
    let base = Mesh::of(few());
    let (first, nothing) = (sizes.len(), live());
    let mut side = ControlSide::new();
    side.add()?;
    side.serve(&base)?;
    let before = live() - nothing;
    println!("live.{baseline} {before}");
    let report = |what: &str| {
        println!("live.{baseline}.{what} {}", ratio(before.abs_diff(live() - nothing), before));
    };

    come_and_go(&mut side, &base, &Mesh::of(few().chain([(first, MANY)])))?;
    report("endpoints");
    come_and_go(&mut side, &base, &Mesh::of(few().chain((first..first + MANY).map(|n| (n, 1)))))?;
    report("clusters");
    for cycle in 0..CYCLES {
        come_and_go(&mut side, &base, &Mesh::of(few().chain([(2 * MANY + cycle, 100)])))?;
    }
    report("cycles");
    for _ in 0..CYCLES {
        side.remove()?;
        side.add()?;
        side.serve(&base)?;
    }
    report("targets");
    Ok(())
}

fn come_and_go(side: &mut ControlSide, base: &Mesh, more: &Mesh) -> Result<(), Error> {
    side.change(more)?;
    side.change(base)
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
