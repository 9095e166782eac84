//! The half of a bench client that every client shares: the calls it makes, and how many.
//!
//! Each workspace includes this folder by path, so a peer and the mesh run the same code over
//! different channels and nothing but the channel differs between their counts. A client is a
//! `kind` on the command line plus the few lines that build its channel:
//!
//! ```text
//! client MODE KIND CALLS CONCURRENCY WARM_UP ADDRESS...
//! ```
//!
//! A run makes `WARM_UP` calls, then `CALLS` calls. What one call costs is the difference of two
//! runs that differ in `CALLS` alone.

mod echo;
mod load;
mod run;
mod service;

pub use echo::{METHOD_STREAM, METHOD_UNARY, Payload, SERVICE};
pub use run::Run;
pub use service::Echo;

/// Why a client gave up.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
