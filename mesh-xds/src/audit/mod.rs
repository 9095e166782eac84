//! Audit logs: what was decided about whom, written down (gRFC [A59]).
//!
//! ```text
//! authorization ─► StdoutLogger (named by rules) ─┐
//!               ─► AuditLog (of the program)     ─┴─► Spool ─► a thread ─► stdout, or a chained file
//! ```
//!
//! A record is one line of JSON: when, who, what, where, which rule decided and how. It holds no
//! header field, no query and no token, and at most [`MAX_RECORD`] bytes. A request only ever puts
//! its record into a bounded spool; a thread writes. When the spool is full, records are lost and
//! counted, or requests are refused ([`WhenFull`]): never does one wait.
//!
//! Records in a file (feature `audit`) are chained by their hashes, so that [`Verifier`] notices
//! what was changed, removed or put in; `docs/audit.md` says what that proves and what not. Not
//! here: what is audited, which is `mesh_core::authz`'s.
//!
//! [A59]: https://github.com/grpc/proposal/blob/master/A59-audit-logging.md

mod builder;
#[cfg(feature = "audit")]
mod chain;
mod error;
mod log;
mod record;
mod redact;
mod spool;
mod stdout;
#[cfg(test)]
mod tests;
mod text;
mod time;
#[cfg(feature = "audit")]
mod verify;

pub use builder::AuditLogBuilder;
#[cfg(feature = "audit")]
pub use chain::{Key, KeyError};
pub use error::OpenError;
pub use log::AuditLog;
pub use record::MAX_RECORD;
pub use redact::Redaction;
pub use spool::{Capacity, Unwritten, WhenFull};
pub use stdout::StdoutFactory;
#[cfg(feature = "audit")]
pub use verify::{Break, Cause, Report, Verifier, verify};
