//! The control side of a proxyless service mesh: where configuration comes from and what becomes of
//! it before a request sees it.
//!
//! ```text
//! bootstrap ─► ads (versions, ACK, NACK) ─► parse (validated, or refused with its path)
//!           ─► graph (what is wanted, which targets are complete) ─► snapshots that channels read
//! ```
//!
//! [`Mesh`] is the handle that programs hold. Most use it through `mesh-tonic` or `mesh-hyper`.
//!
//! ```
//! use mesh_xds::{Mesh, bootstrap::Bootstrap};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bootstrap = Bootstrap::from_json(
//!     r#"{"xds_servers": [{"server_uri": "localhost:18000",
//!         "channel_creds": [{"type": "insecure"}]}], "node": {"id": "me"}}"#,
//! )?;
//! let mesh = Mesh::builder().bootstrap(bootstrap).build()?;
//! let greeter = mesh.root("xds:///greeter")?;
//! assert_eq!(&*greeter.authority, "greeter");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `ads` (management servers), `file` (resources from YAML and JSON), `control-plane` (the embedded
//! management server) are on by default; `tls` adds identities, `audit` audit logs in files, that are
//! chained; `cli` builds the program `mesh`; `testing` adds the test kit.
//! Without any of them the state machines remain: `ads`, `parse` and `graph` need neither a runtime
//! nor a transport.

pub mod ads;
pub mod audit;
pub mod bootstrap;
#[cfg(all(feature = "ads", feature = "file", feature = "tls"))]
pub mod break_glass;
#[cfg(feature = "ads")]
mod client;
#[cfg(feature = "control-plane")]
pub mod control_plane;
#[cfg(feature = "ads")]
mod edges;
mod error;
#[cfg(feature = "file")]
pub mod file;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod graph;
#[cfg(feature = "tls")]
pub mod identity;
#[cfg(feature = "tls")]
pub mod jwt;
mod limit;
#[cfg(feature = "mesh")]
mod mesh;
pub mod name;
pub mod parse;
pub mod proto;
#[cfg(feature = "mesh")]
mod providers;
#[cfg(feature = "mesh")]
mod roots;
mod side;
#[cfg(feature = "mesh")]
mod status;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(any(feature = "file", feature = "tls"))]
mod watch;

pub use error::{Error, Kind};
#[cfg(feature = "ads")]
pub use mesh::Builder;
#[cfg(feature = "mesh")]
pub use mesh::Mesh;
#[cfg(feature = "mesh")]
pub use roots::{Demand, RootHandle, Roots, ServerHandle};
#[cfg(feature = "mesh")]
pub use status::{FilesStatus, Status};
