//! The control side of a proxyless service mesh.

mod error;
#[cfg(feature = "mesh")]
mod mesh;

pub use error::{Error, Kind};
#[cfg(feature = "mesh")]
pub use mesh::{Demand, Mesh, RootHandle, Roots};
