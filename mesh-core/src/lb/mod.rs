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
