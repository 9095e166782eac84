//! Sources over files, and the rules of the trust bundle map.

#[cfg(feature = "testing")]
mod agents;
mod bundles;
mod files;
mod kit;
#[cfg(feature = "testing")]
mod secrets;
