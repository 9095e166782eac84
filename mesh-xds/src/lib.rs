//! mesh-xds

#[cfg(feature = "control-plane")]
pub mod control_plane;
#[cfg(feature = "file")]
pub mod file;
pub mod proto;
