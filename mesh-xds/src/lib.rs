//! The control side of a proxyless service mesh.

#[cfg(test)]
pub(crate) mod fixtures;
pub mod parse;
pub mod proto;
