//! All the I/O towards management servers: the task that owns the graph, and the streams.
//!
//! ```text
//! Mesh::root ── Command ──► Driver { Graph, a Session per server } ──► cells that channels read
//!                              ▲ responses   │ requests
//!                              └── link task ┘  one per open stream
//! ```
//!
//! Without a bootstrap there are no servers: resources are in files, or follow from the targets.
//!
//! What is decided is decided in [`ads`](crate::ads) and [`graph`](crate::graph); here is only the
//! order in which they are asked, a clock, and sockets.

mod connect;
mod driver;
#[cfg(feature = "file")]
mod files;
mod handle;
mod link;
mod local;
mod names;
mod peers;
mod plain;
mod resolve;
mod secrets;
mod secure;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod wait;

pub(crate) use driver::Source;
#[cfg(feature = "file")]
pub(crate) use files::Files;
pub(crate) use handle::Client;
