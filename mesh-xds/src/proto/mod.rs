//! Protobuf messages read by hand.
//!
//! The generated messages of `envoy-types` serve for everything that is small or rare. Endpoint
//! assignments are neither: a fleet of 10 000 endpoints sends all of them whenever one changes, so
//! they are walked where they lie ([`eds`]), without decoding what did not change.

pub mod eds;
pub mod wire;
