//! The mesh, as it is: for counting instructions.

use mesh_benches::client;
use mesh_benches::shared::Error;

fn main() -> Result<(), Error> {
    client()
}
