//! The control side of a proxyless service mesh.

pub mod ads;
pub mod bootstrap;
#[cfg(feature = "ads")]
mod client;
#[cfg(feature = "control-plane")]
pub mod control_plane;
mod error;
#[cfg(feature = "file")]
pub mod file;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod graph;
#[cfg(feature = "mesh")]
mod mesh;
pub mod name;
pub mod parse;
pub mod proto;
#[cfg(feature = "mesh")]
mod roots;
#[cfg(feature = "mesh")]
mod status;

pub use error::{Error, Kind};
#[cfg(feature = "ads")]
pub use mesh::Builder;
#[cfg(feature = "mesh")]
pub use mesh::Mesh;
#[cfg(feature = "mesh")]
pub use roots::{Demand, RootHandle, Roots};
#[cfg(feature = "mesh")]
pub use status::Status;
