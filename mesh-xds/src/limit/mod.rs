//! Limits on the rate of requests that this process keeps by itself (Envoy's
//! `envoy.filters.http.local_ratelimit`).
//!
//! ```text
//! request ─► descriptors ─► Limiter ─► their buckets, and the default one ─► passes | 429
//! ```
//!
//! The buckets and what requests are counted as are `mesh_core::limit`'s. Here are the buckets by
//! descriptor, for which there is a lock, and what becomes of requests.

mod filter;
mod limiter;
mod wildcard;

pub(crate) use filter::{LocalLimit, Settings};
pub(crate) use limiter::{Counted, Described, Limiter};
