//! The HTTP data plane of a proxyless service mesh.
//!
//! [`Client`] sends requests to whatever the mesh says their authority is. [`Target`] is the piece
//! below it, one thing that the mesh is asked for, which `mesh-tonic` builds its channel on.
//!
//! ```
//! use mesh_hyper::{Client, Mesh};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Mesh::from_env()?;
//! let http = Client::new(&mesh);
//! let page = http.get("http://reviews/1").await?.text().await?;
//! # drop(page);
//! # Ok(())
//! # }
//! # let mesh = Mesh::disabled().expect("a thread can be started");
//! # drop(Client::new(&mesh));
//! ```
//!
//! ```text
//! call ─► plan (routes, filters) ─► pool of the cluster ─► connection (h2, or HTTP/1.1 by hyper)
//!   └─ whatever has to be waited for is waited for in the call's own future, under its deadline
//! ```
//!
//! # Features
//!
//! `xds` (configuration from a management server or files) is on by default; `reqwest-middleware`
//! adds the adapter for programs on reqwest; `audit` adds audit logs in files; `testing` adds the test kit, which runs a whole mesh
//! with its backends in a unit test.

mod body;
mod client;
mod context;
mod error;
mod inherit;
pub mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod pool;
mod report;
mod runtime;
mod server;
mod side;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod xds;

pub use body::{Body, Collected, ResponseBody, empty, full};
pub use client::{Client, Options, OutboundPolicy, Response, ResponseFuture, Target};
pub use error::{BoxError, Error, Kind};
pub use inherit::{InRequest, Inheriting, inherited};
pub use mesh_core::cluster::Address;
pub use mesh_core::filter::{Tenancy, TenantSource};
pub use mesh_core::identity::SpiffeId;
pub use mesh_core::inherited::Inherited;
pub use mesh_core::request::Criticality;
pub use mesh_core::route::Explanation;
#[cfg(feature = "reqwest-middleware")]
pub use middleware::MeshMiddleware;
pub use server::{Accepted, Peer, Server, ServerBody, ServingState, Tenant, signal};
pub use transport::connect::{Connect, Connecting, Io, Sockets};
pub use xds::{Mesh, audit};
