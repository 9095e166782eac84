//! Resources from files, and their text form.
//!
//! YAML and proto-JSON are read through the descriptors in [`crate::proto`], so everything that
//! Envoy accepts in a file is accepted here under the same names. What a resource means is left to
//! [`crate::parse`], which also reads what a control plane sends: this module turns text into
//! encoded messages (and back), and says on which line a message is that was refused.
//!
//! ```text
//! text ── tree (lines kept) ─┬─ message, checked against its descriptor ─┬─ FileResource
//!                            └─ short form, compiled ────────────────────┘
//! ```
//!
//! - [`read()`] and [`parse`] read resources; [`Watcher`] reads them again when files change.
//! - [`check()`] finds everything that is wrong with files, for people, and [`explain()`] says which
//!   rule decides about a request.
//! - [`print`](mod@print) writes a resource as YAML or JSON.

mod check;
mod cursor;
mod deserialize;
mod diagnose;
#[cfg(feature = "ads")]
mod enforce;
mod error;
mod explain;
#[cfg(feature = "testing")]
mod memory;
mod notes;
mod policy;
pub mod print;
mod resources;
#[cfg(all(feature = "ads", feature = "tls"))]
pub(crate) mod rules;
mod server;
mod set;
mod short;
mod tree;
mod valid;
mod watch;

pub use check::{Report, check};
#[cfg(feature = "ads")]
pub(crate) use enforce::{Enforcer, Verify};
pub use error::{FileError, Origin, Why};
pub use explain::{Stage, explain};
#[cfg(feature = "testing")]
pub(crate) use memory::Memory;
pub use notes::{Lint, Note};
pub use resources::{FileResource, parse, read};
pub use watch::{WatchOptions, Watcher};

#[cfg(test)]
mod tests;
