//! Handshakes in memory, ours with ours.

mod handshake;
pub(crate) mod kit;
mod matrix;
