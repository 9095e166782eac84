//! Connections to endpoints, and one exchange of request and response on them.
//!
//! ```text
//! connect (happy eyeballs) ─► TLS ─► h2 / h1 handshake ─► Connection ◄─ exchange::start per call
//!                                   └─ driver task on the runtime of the call that opened it
//! ```
//!
//! HTTP/2 is driven through the `h2` crate in the caller's own future: no queue, no task per call.
//! HTTP/1.1 goes through hyper. What is decided (which endpoint, when to connect again) is decided
//! in `mesh_core::balance`, not here.

pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod h1;
pub(crate) mod h2;
mod half;
mod look;
pub(crate) mod pump;
pub(crate) mod recv;
pub(crate) mod replay;
pub(crate) mod secure;
pub(crate) mod signals;
#[cfg(test)]
mod tests;
pub(crate) mod timer;
pub(crate) mod trial;
mod watch;
mod wheel;
