//! JSON Web Tokens: where they stand in a request, what they must claim, which of them a request
//! needs (Envoy's `jwt_authn`).
//!
//! ```text
//! request ─► Locations ─► tokens ─► (signature: not here) ─► Expectations ─┐
//! requirement tree ◄──────────────── valid, or a Failure ◄─────────────────┘
//! ```
//!
//! Decisions only. Reading a token and verifying its signature takes a cryptography library, which
//! the control side has.

/// The namespace in [`Metadata`](crate::metadata::Metadata) that claims of verified tokens stand in,
/// as in Envoy.
pub const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

mod claims;
mod failure;
mod location;
mod requirement;
#[cfg(test)]
mod tests;

pub use claims::Expectations;
pub use failure::Failure;
pub use location::{Found, Locations, Place};
pub use requirement::{Answer, Audiences, Outcome, Requirement, Verify, one_of};
