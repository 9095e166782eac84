//! The HTTP data plane of a proxyless service mesh.

mod body;
mod client;
mod error;
mod pool;
mod runtime;
mod transport;
mod xds;
pub use body::{Body, BoxError, Collected, ResponseBody, empty, full};
pub use client::{Options, ResponseFuture, Target};
pub use error::{Error, Kind};
pub use transport::connect::{Connect, Connecting, Io, Sockets};
pub use xds::Mesh;
