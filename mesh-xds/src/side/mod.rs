//! Side calls: what filters ask services of the control plane's choice, and how it is said.
//!
//! The calls themselves go through the data plane ([`mesh_core::side`]).

#[cfg(feature = "tls")]
pub(crate) mod ext_authz;
pub(crate) mod ratelimit;
