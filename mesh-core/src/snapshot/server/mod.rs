//! What a server's connections and requests are decided by (gRFC A36).
//!
//! ```text
//! listener + routes + filters ─► ServerSnapshot ─► Cell<ServerRoot> ─► chain per connection
//!                                                                 └─► Routing::plan per request
//! ```
//!
//! A connection stays with the filter chain that it was given, and with the [`epoch`] of its
//! listener; another epoch means that it is to go. New routes keep the epoch, and reach the
//! connections that are open.
//!
//! [`epoch`]: ServerSnapshot::epoch

mod chain;
mod plan;
mod root;
#[cfg(test)]
mod tests;

pub use chain::{
    Connections, FilterChain, Inspection, Routes, Routing, ServerSnapshot, Underscores,
};
pub use plan::ServerPlan;
pub use root::ServerRoot;
