//! Leaves a server alone in part that answers badly (Envoy's `admission_control`).
//!
//! The worse the answers of the last while, the more requests are refused, so that a server with too
//! much to do gets less of it, and always some, by whose answers it is known when it is well again.
//!
//! ```text
//! of n requests in the window, s of which succeeded:
//!   refused with probability  max(0, (n - s / threshold) / (n + 1)) ^ (1 / aggression)
//!                             and never above the greatest probability
//! ```
//!
//! ```
//! use mesh_core::admission::{Admission, Config};
//! use mesh_core::classify::Class;
//! use mesh_core::testing::{SequenceRng, at};
//!
//! let admission = Admission::new(Config::default());
//! for _ in 0..99 {
//!     admission.record(Class::Bad, at(0));
//! }
//! // 99 / 100, but four in five are the most.
//! assert!(admission.admit(at(1), &mut SequenceRng::new([7_999])).is_err());
//! assert!(admission.admit(at(1), &mut SequenceRng::new([8_000])).is_ok());
//! ```
//!
//! Not here: finding out which answers are good, but for the codes that count as such.

mod config;
mod state;
#[cfg(test)]
mod tests;

pub use config::{Config, Criteria};
pub use state::{Admission, Refused};
