//! A test kit: configuration and control planes without sockets and without waiting.
//!
//! Everything runs on the runtime of the test, on a clock that stands still unless the test waits
//! for it: `#[tokio::test(start_paused = true)]`. Nothing here listens, dials or looks up a name
//! unless it is asked to; a test takes microseconds and comes out the same each time.
//!
//! ```text
//! Document (YAML in memory) ──── the way of files ────┐
//! ControlPlane ── ADS over in-memory streams ─────────┴─► Mesh
//! ```
//!
//! - [`Document`] takes the place of [`Mesh::from_file`](crate::Mesh::from_file).
//! - [`RateLimiter`] is a rate limit service, which writes down what it is asked.
//! - [`WorkloadApi`] is a SPIFFE agent, for programs that get their identity from one.
//! - [`Authorization`] is an authorization service, for servers whose configuration has `ext_authz`.
//! - [`ControlPlane`] is the embedded [`control_plane`](crate::control_plane), with the stream to it
//!   in memory.
//!
//! Tests of calls want `mesh_hyper::testing`, which stands on this and has backends, too.

mod authorization;
mod clusters;
mod control_plane;
mod document;
mod network;
mod paused;
mod permission;
mod rate_limiter;
#[cfg(test)]
mod tests;
mod workload_api;

pub use authorization::{Asked, Authorization};
pub use clusters::Cluster;
pub use control_plane::{ControlPlane, PushError};
pub use document::Document;
#[cfg(test)]
pub(crate) use network::InMemory;
pub use paused::settle;
pub use permission::Permission;
pub use rate_limiter::{LimitRequest, RateLimiter};
pub use workload_api::{Grant, WorkloadApi};

/// What errors call the file that a test's YAML would be in.
const FILE: &str = "mesh.yaml";
