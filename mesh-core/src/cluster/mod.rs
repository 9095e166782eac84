//! Clusters: named sets of endpoints and how to use them.
//!
//! ```text
//! CDS ─► Config ──────┐
//!                     ├─► Version ─► Cluster (lives on; the request path reads it)
//! EDS, DNS, file ─► Assignment
//! ```
//!
//! [`Config`] and [`Assignment`] are plain validated data. A [`Cluster`] is what survives them: it
//! is shared by every target that routes to it, and requests hold it until they end.

mod assignment;
mod balancing;
mod config;
mod endpoint;
mod labels;
mod live;
mod security;
mod usage;

pub use assignment::{Assignment, DropOverload, Leaf, Locality, LocalityName};
pub use balancing::{LoadBalancing, Policy};
pub use config::{Config, Connections, Discovery, HostPort, Keepalive, Limits, Upstream};
pub use endpoint::{Address, Endpoint, EndpointState, Health, Identity};
pub use labels::Labels;
pub use live::{Cluster, Permit, Version};
pub use security::{Security, Transport, TransportMatch};
pub use usage::{Pending, Remaining, Usage};
