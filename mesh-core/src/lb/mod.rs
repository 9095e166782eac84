//! Which endpoint takes a call.
//!
//! ```text
//! ready endpoints of the active priority
//!   └─ Picker: locality by weight ─► leaf policy ─► index of an endpoint
//! ```
//!
//! A [`Picker`] is built whenever the set of ready endpoints changes and is read without a lock:
//! a pick is O(1) (O(log n) in the number of localities), allocates nothing and touches one shared
//! counter at the most. What endpoints are ready, and which priority is active, is decided in
//! [`balance`](crate::balance).

mod leaf;
mod picker;
mod stride;
#[cfg(test)]
mod tests;

pub use picker::{Group, Picker};

/// How an endpoint is chosen for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The choice among the endpoints of a locality, or of the whole priority.
    pub policy: Policy,
    /// Whether localities share traffic by their weights (`WrrLocality`, gRFC A52;
    /// `locality_weighted_lb_config`). Otherwise their endpoints are one pool.
    pub locality_weighted: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { policy: Policy::RoundRobin, locality_weighted: true }
    }
}

/// The choice among equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Each in turn, in proportion to endpoint weights.
    #[default]
    RoundRobin,
    /// The least loaded of a few random ones (gRFC A48).
    LeastRequest {
        /// How many to look at; 2 to 10, default 2.
        choices: u32,
    },
    /// Any, uniformly.
    Random,
    /// The first that can be connected to (gRFC A62).
    PickFirst {
        /// Whether to shuffle the endpoints first.
        shuffle: bool,
    },
}
