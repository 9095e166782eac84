//! A member of the mesh that has a channel and makes no calls, until standard input ends.
//!
//! ```text
//! member CONTROL_PLANE
//! ```

use std::io::Read;

use mesh_benches::shared::Error;
use mesh_tonic::{Channel, Mesh};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).ok_or("missing CONTROL_PLANE")?.parse()?;
    let mesh = Mesh::builder().bootstrap(mesh_benches::bootstrap(address)?).build()?;
    let _channel = Channel::new(&mesh, "xds:///echo")?;
    println!("pid {}", std::process::id());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
