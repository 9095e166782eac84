//! Servers under a real control plane (gRFC A36).
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod credentials;
mod frameworks;
mod kit;
mod lifecycle;
mod limits;
mod policies;
mod tls;
