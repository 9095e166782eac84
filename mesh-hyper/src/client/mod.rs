//! The client side of the data plane: a request in, a response out, by the target's configuration.
//!
//! ```text
//! Target::call ─ deadline ─ plan ─ filters ─ pick ─ send        all at once, in `call` itself
//!      │                                               └ not the last attempt ─► again
//!      └ anything that must wait ─► slow: one boxed future that goes on from there
//! ```

mod again;
mod answer;
mod attempt;
mod call;
mod future;
mod http;
mod lane;
mod race;
mod side;
mod slow;
mod target;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod timeout;

pub(crate) use answer::grpc_head;
#[cfg(feature = "testing")]
pub(crate) use answer::percent_encoded;
pub use future::ResponseFuture;
pub(crate) use http::Open;
pub use http::{Client, OutboundPolicy, Response};
pub(crate) use target::{DemandCluster, Source};
pub use target::{Options, Target};
