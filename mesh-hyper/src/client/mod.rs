//! The client side of the data plane: a request in, a response out, by the target's configuration.
//!
//! ```text
//! Target::call ─ deadline ─ plan ─ filters ─ pick ─ send        all at once, in `call` itself
//!      └ anything that must wait ─► slow: one boxed future that goes on from there
//! ```

mod answer;
mod call;
mod context;
mod http;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
pub(crate) mod report;
mod side;
mod slow;
mod target;

pub use call::ResponseFuture;
pub(crate) use context::Context;
pub(crate) use http::Open;
pub use http::{Client, OutboundPolicy, Response};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::MeshMiddleware;
pub(crate) use target::{DemandCluster, Source};
pub use target::{Options, Target};
