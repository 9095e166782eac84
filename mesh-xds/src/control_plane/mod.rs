//! An xDS management server inside a program.
//!
//! For development, tests, examples and a single machine: it serves whatever resources it is given,
//! from code or from a directory, over the aggregated discovery service (state of the world and
//! incremental). It does not watch a platform, check what resources mean, or scale out: that is
//! what Istio, Consul and the like are for.
//!
//! ```text
//! set(group, ResourceSet) ──┐                          one task per stream
//! Directory (hot reload) ───┴─ watch ── group of the node ── Sotw | Delta ── tonic ── client
//!                                                   (sans-IO)     │
//! clients(), in_force(revision) ── watch ── what each client has ─┘
//! ```
//!
//! Protocol: [xDS protocol](https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mesh_xds::control_plane::{ControlPlane, ResourceSet};
//! use envoy_types::pb::envoy::config::cluster::v3::Cluster;
//!
//! let control_plane = ControlPlane::new();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! tokio::spawn(control_plane.serve(listener, std::future::pending()));
//!
//! let cluster = Cluster { name: "backend".to_owned(), ..Cluster::default() };
//! let resources = ResourceSet::new().with_message("backend", &cluster);
//! let revision = control_plane.set(ControlPlane::DEFAULT_GROUP, resources);
//! control_plane.in_force(&revision).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod directory;
mod faults;
mod plane;
mod resources;
mod server;
mod service;
mod stream;
pub mod type_url;

pub use client::{Answer, Client, Node, Rejection, Subscription, Variant};
pub use directory::Directory;
pub use faults::Faults;
pub use plane::{Builder, ControlPlane, Revision};
pub use resources::{Resource, ResourceSet};
pub use server::ServeError;
pub use service::Service;

#[cfg(test)]
mod tests;
