//! mesh-xds

#[cfg(feature = "file")]
pub mod file;
pub mod proto;
