//! Where identities and authorities come from, by the names that resources refer to them.
//!
//! ```text
//! files, agents (Workload API, SDS), secrets of the         ─► Source ─► Identities (by name)
//! management server, PEM, the system, a development CA                      │ every handshake
//!                                     client_config, server_config of crate::tls ◄─┘
//! ```
//!
//! Each source replaces what it gives as a whole, and only by something that works: a certificate
//! whose key does not fit is never used. Changes are told to the recorder, and so are certificates that
//! nobody replaces in time.

#[cfg(feature = "ads")]
mod agent;
pub mod bundle_map;
mod clock;
#[cfg(feature = "dev-ca")]
mod dev_ca;
mod expiry;
mod fed;
mod file_watcher;
mod identities;
mod material;
mod pem;
mod renewals;
#[cfg(feature = "ads")]
mod sds;
mod seat;
#[cfg(feature = "ads")]
mod secret;
#[cfg(feature = "ads")]
mod svid;
mod system;
#[cfg(test)]
#[cfg(feature = "dev-ca")]
mod tests;
#[cfg(feature = "ads")]
mod workload_api;

#[cfg(feature = "ads")]
pub use agent::AgentSettings;
#[cfg(feature = "dev-ca")]
pub use dev_ca::{DevCa, DevCaError, Issued, Request};
#[cfg(feature = "ads")]
pub(crate) use expiry::Watch as ExpiryWatch;
pub use fed::Fed;
pub use file_watcher::Watched;
pub use identities::{ClientHandshake, Identities, NotReady};
pub use pem::{Pem, PemError};
#[cfg(feature = "ads")]
pub(crate) use renewals::Told;
#[cfg(feature = "ads")]
pub use secret::Secrets;
