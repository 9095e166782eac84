//! The control side of a proxyless service mesh.

pub mod bootstrap;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod graph;
pub mod name;
pub mod parse;
pub mod proto;
