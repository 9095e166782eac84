//! The ADS protocol towards one management server, without I/O.
//!
//! [`Session`] is one server's stream over all its lives: what is subscribed, which versions were
//! accepted, what has to be said next, when to connect again. It speaks both the state-of-the-world
//! and the incremental variant; towards its user they differ only in [`Config::mode`].
//!
//! ```text
//!  shell: stream up/down, response ──► Session ──► poll_event     Update, Missing, Unreachable, …
//!  graph: subscribe / unsubscribe  ──►         ──► poll_request   DiscoveryRequest to send
//!  graph: finish(ticket, verdict)  ──►         ──► poll_connect   open a stream now
//!                                              ──► poll_timeout   wake me then
//! ```
//!
//! It is *not* a cache and does not know what resources mean: it hands over their bytes and hears
//! back whether they were good. Servers of several authorities, and fallback between servers (gRFC
//! A71), are several sessions.
//!
//! The rules are gRPC's: gRFC A27 and A57 (stream, timers), A46 (NACK), A53 and A88 (deletion, data
//! errors), A47 (names). TTLs are honoured as the xDS protocol describes them.

mod backoff;
mod config;
mod event;
mod interest;
mod link;
mod request;
mod resource;
mod response;
mod session;
mod status;
mod stream;
mod subscription;
#[cfg(test)]
mod tests;
mod timers;
mod wire;

pub use self::config::{Config, Mode, Timeouts};
pub use self::event::{Event, IgnoreReason, Refusal, Ticket, Update, Verdict};
pub use self::request::Request;
pub use self::resource::{EntryError, Malformed, Raw};
pub use self::response::Response;
pub use self::session::Session;
pub use self::status::{Rejection, Status, StreamStatus, TypeStatus};
