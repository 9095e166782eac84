//! The control side of a proxyless service mesh.

pub mod ads;
pub mod bootstrap;
pub mod name;
