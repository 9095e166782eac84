//! What the examples and tools share.

pub mod echo;
