//! Resources from files, and their text form.
//!
//! YAML and proto-JSON are read through the descriptors in [`crate::proto`], so everything that
//! Envoy accepts in a file is accepted here under the same names. Nothing in this module judges
//! what a resource means: it turns text into encoded messages (and back), for the same parsers
//! that read what a control plane sends.
//!
//! ```text
//! text ── tree (lines kept) ── message, checked against its descriptor ── FileResource
//! ```
//!
//! - [`read()`] and [`parse`] read resources; [`Watcher`] reads them again when files change.
//! - [`print`](mod@print) writes a resource as YAML or JSON.

mod deserialize;
mod diagnose;
mod error;
pub mod print;
mod resources;
mod tree;
mod watch;

pub use error::{FileError, Origin, Why};
pub use resources::{FileResource, parse, read};
pub use watch::{WatchOptions, Watcher};

#[cfg(test)]
mod tests;
