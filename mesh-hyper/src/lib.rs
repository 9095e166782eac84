//! The HTTP data plane of a proxyless service mesh.

mod body;
mod client;
mod error;
mod pool;
mod runtime;
mod transport;
mod xds;
pub use body::{Body, BoxError, Collected, ResponseBody, empty, full};
#[cfg(feature = "reqwest-middleware")]
pub use client::MeshMiddleware;
pub use client::{Client, Options, OutboundPolicy, Response, ResponseFuture, Target};
pub use error::{Error, Kind};
pub use mesh_core::cluster::Address;
pub use mesh_core::route::Explanation;
pub use transport::connect::{Connect, Connecting, Io, Sockets};
pub use xds::Mesh;
