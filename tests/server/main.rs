//! Servers under a real control plane (gRFC A36).
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorization;
mod credentials;
mod files;
mod frameworks;
mod inherits;
mod kit;
mod lifecycle;
mod limits;
mod policies;
mod tls;
