//! Where identities and authorities come from, by the names that resources refer to them.
//!
//! ```text
//! files, PEM from code, the operating system, a development CA ─► Source ─► Identities (by name)
//!                                                                              │ every handshake
//!                                     client_config, server_config of crate::tls ◄─┘
//! ```
//!
//! Each source replaces what it gives as a whole, and only by something that works: a certificate
//! whose key does not fit is never used. Changes are told to the recorder.

pub mod bundle_map;
#[cfg(feature = "dev-ca")]
mod dev_ca;
mod file_watcher;
mod identities;
mod material;
mod pem;
mod system;
#[cfg(test)]
#[cfg(feature = "dev-ca")]
mod tests;

#[cfg(feature = "dev-ca")]
pub use dev_ca::{DevCa, DevCaError, Issued, Request};
pub use file_watcher::{FileWatcher, Watched};
pub use identities::{ClientHandshake, Identities};
pub use pem::{Pem, PemError};
