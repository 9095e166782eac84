//! Asking a second server while the first one takes its time (Envoy's `HedgePolicy`).
//!
//! ```text
//! Policy ──► Hedges ──► begin: so many at once
//!               │  ├──► poll_timeout, handle_timeout: one more, if the Allowance has something left
//!               └──┴──► after(class): Win, Wait for the others, or Last
//! ```
//!
//! A request that is sent twice is carried out twice, so calls are hedged only where they are safe
//! (RFC 9110 §9.2.1), the caller says so, or the route does. [`Latencies`] tells how long answers
//! usually take, [`Allowance`] bounds what it all costs. Not here: an attempt beside one that has
//! used up its `per_try_timeout` is one of the retries ([`retry::Retries::beside`]); cancelling
//! those that have lost is what the owner of the attempts does.
//!
//! [`retry::Retries::beside`]: crate::retry::Retries::beside

mod allowance;
mod latencies;
mod policy;
mod state;
#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use latencies::Latencies;
pub use policy::{Delay, Policy, Safe, Safety, is_safe};
pub use state::{Hedges, Next};
