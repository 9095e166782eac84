//! Protobuf beyond what envoy-types gives.
//!
//! The generated messages of `envoy-types` serve for everything that is small or rare. Endpoint
//! assignments are neither: a fleet of 10 000 endpoints sends all of them whenever one changes, so
//! they are walked where they lie ([`eds`]), without decoding what did not change.
//!
//! What envoy-types has nothing of is written by hand (`workload`).
//!
//! Reading and printing text takes descriptors. `descriptors.bin` is made from envoy-types' own
//! descriptor set by `cargo run -p xtask -- descriptors`. It holds the resource types, every HTTP
//! filter, load balancer and cluster extension of Envoy's core, config dumps, and the well-known
//! types; no comments and no options.

#[cfg(feature = "file")]
mod descriptors;
pub mod eds;
mod labels;
mod metadata;
mod typed_struct;
pub mod wire;
#[cfg(feature = "ads")]
pub mod workload;

#[cfg(feature = "file")]
pub use descriptors::{is_sensitive, pool};
pub(crate) use metadata::fields;
#[cfg(feature = "tls")]
pub(crate) use metadata::structure;
pub use typed_struct::TypedStruct;
