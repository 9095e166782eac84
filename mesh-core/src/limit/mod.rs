//! How much may happen: rates of requests, by what is said of each of them.
//!
//! ```text
//! request ─ Rule: actions ─► Descriptor ─► a rate limit service (filter `ratelimit`)
//!                                      └─► TokenBucket          (filter `local_ratelimit`)
//! ```
//!
//! A [`TokenBucket`] is one atomic number. A [`Rule`] (Envoy's `RateLimit`) says of a request what
//! it is counted as. Not here: what becomes of refused requests, and buckets by key, which need a
//! lock and are floor 1's.

mod action;
mod bucket;
mod descriptor;
mod rule;
#[cfg(test)]
mod tests;

pub use action::{Action, Facts, Source};
pub use bucket::{Fill, Shortage, TokenBucket};
pub use descriptor::{Descriptor, Entry, Override, Unit};
pub use rule::{Hits, LimitSource, Rule, Rules, VirtualHostRules};
