//! Sources over files, and the rules of the trust bundle map.

#[cfg(feature = "testing")]
mod agents;
mod bundles;
#[cfg(feature = "ads")]
mod expiry;
mod files;
mod kit;
mod rotation;
#[cfg(feature = "testing")]
mod secrets;
