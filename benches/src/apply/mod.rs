//! Configuration by hand: from the bytes of a response to what is published, without I/O.
//!
//! It is the loop of the mesh's own driver, with the network cut off: so what it costs can be
//! counted alone.

mod resources;
mod side;

pub use resources::{Mesh, assignment, cluster, update};
pub use side::ControlSide;
