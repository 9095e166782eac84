//! Protobuf beyond what envoy-types gives: descriptors, for reading and printing text.
//!
//! `descriptors.bin` is made from envoy-types' own descriptor set by `cargo run -p xtask --
//! descriptors`. It holds the resource types, every HTTP filter, load balancer and cluster
//! extension of Envoy's core, config dumps, and the well-known types; no comments and no options.

#[cfg(feature = "file")]
mod descriptors;

#[cfg(feature = "file")]
pub use descriptors::{is_sensitive, pool};
