//! Handshakes in memory, ours with ours.

mod handshake;
mod kit;
mod matrix;
