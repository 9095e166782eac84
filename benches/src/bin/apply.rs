//! Applies configuration so many times, for counting instructions.
//!
//! ```text
//! apply cold TIMES       a cluster of 10 000 endpoints, each time anew
//! apply change TIMES     one of its endpoints changes
//! apply clusters TIMES   10 000 clusters, each time anew
//! ```

use mesh_benches::apply::{self, ControlSide, Mesh};
use mesh_benches::shared::Error;

const MANY: usize = 10_000;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or("missing WHAT")?;
    let times: usize = arguments.next().ok_or("missing TIMES")?.parse()?;
    let cold = |mesh: Mesh| {
        for _ in 0..times {
            let mut side = ControlSide::new();
            side.add()?;
            side.serve(&mesh)?;
        }
        Ok(())
    };
    match what.as_str() {
        "cold" => cold(Mesh::new(1, MANY)),
        "clusters" => cold(Mesh::new(MANY, 1)),
        "change" => {
            let mut side = ControlSide::new();
            side.add()?;
            side.serve(&Mesh::new(1, MANY))?;
            let changes = [2, 3].map(|weight| {
                let changed = Some((MANY / 2, weight));
                apply::update(&apply::assignment(&apply::cluster(0), 0, MANY, changed))
            });
            for change in changes.iter().cycle().take(times) {
                side.receive(change)?;
                side.acknowledge();
            }
            Ok(())
        }
        other => Err(format!("unknown work {other}").into()),
    }
}
