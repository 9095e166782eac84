//! Resources as bytes in, the validated model of `mesh_core` out.
//!
//! ```text
//! bytes ─► envoy-types or a wire walk ─► parse::<resource> ─► model | Reject { path, why }
//! ```
//!
//! Pure functions, one file per resource. Everything the request path needs is computed here:
//! regexes compiled, domains lower-cased, weights summed, defaults filled in. What must be refused
//! is refused with the path of the field (gRFC A27 and its successors; `docs/xds-fields.md` lists
//! what becomes of each field).

pub mod authz;
pub mod cluster;
pub mod endpoints;
#[cfg(feature = "tls")]
pub mod ext_authz;
pub mod fault;
mod field_name;
mod filter;
mod guard;
#[cfg(feature = "tls")]
pub mod jwt;
pub mod limit;
pub mod listener;
#[cfg(feature = "file")]
mod local;
mod matcher;
mod metadata;
mod new_field;
pub mod overload;
mod reject;
mod retry;
pub mod route;
pub mod secret;
#[cfg(test)]
mod tests;
pub mod tls;
mod value;
mod workload;

#[cfg(feature = "file")]
pub(crate) use cluster::MESH_BREAKER;
pub use filter::Registry;
#[cfg(feature = "file")]
pub(crate) use local::authorizer;
pub use reject::{Path, Reject};
#[cfg(feature = "file")]
pub(crate) use retry::MESH_RETRY;
pub use workload::Workload;
