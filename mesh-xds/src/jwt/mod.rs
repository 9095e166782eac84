//! JSON Web Tokens (Envoy's `jwt_authn`): reading them, the keys that their signatures are verified
//! with, and the filter that lets no request pass without those it needs.
//!
//! ```text
//! Authenticate ─► Locations ─► Token::parse ─► Keys::verify ─► Expectations ─► metadata, headers
//!                                                │
//!                              KeySource: from the configuration, or fetched by a side call
//! ```
//!
//! What a token must claim and which tokens a request needs is decided in [`mesh_core::jwt`]. What
//! cannot be decided denies: keys that cannot be fetched, claims of the wrong type, fields that stand
//! twice. Symmetric keys are never used, and `none` is no algorithm.

mod algorithm;
mod effects;
mod filter;
mod json;
mod keys;
mod provider;
mod remote;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub(crate) use filter::{Authenticate, Choice, Rules};
pub use keys::{Keys, KeysError};
pub(crate) use provider::{ClaimHeader, KeySource, Provider};
pub(crate) use remote::{Remote, RemoteKeys};
