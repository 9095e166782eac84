//! How many requests may be under way at once, found out from how long they take.
//!
//! A server that is given more than it can do gets slower, not faster: requests wait in queues until
//! nobody waits for their answers. A [`Limiter`] admits only as many at once as the server can carry
//! out, and the others are refused at once, which is cheap.
//!
//! ```text
//! Limiter ── admit(criticality) ──► Permit ── done | cancelled ──► the algorithm hears how long it took
//!                └── Refused
//! ```
//!
//! | algorithm | finds the limit by |
//! |---|---|
//! | [`Vegas`] | the queue that latencies above those of an idle server speak of; the default |
//! | [`Aimd`] | growing it bit by bit, and shrinking it when requests are too slow |
//! | [`Gradient`] | the ratio of both latencies, as Envoy's `adaptive_concurrency` does |
//! | [`Fixed`] | being told |
//!
//! ```
//! use mesh_core::concurrency::{Fixed, Limiter};
//! use mesh_core::request::Criticality;
//! use mesh_core::rng::XorShift;
//! use mesh_core::testing::at;
//!
//! let (limiter, rng) = (Limiter::new(Fixed(1)), &mut XorShift::new(7));
//! let permit = limiter.admit(Criticality::Critical, at(0), rng);
//! assert!(permit.is_ok());
//! assert!(limiter.admit(Criticality::Critical, at(1), rng).is_err());
//! drop(permit);
//! assert!(limiter.admit(Criticality::Critical, at(2), rng).is_ok());
//! ```
//!
//! Not here: waiting for a place, which is the owner's business.

mod aimd;
mod algorithm;
mod gradient;
mod histogram;
mod level;
mod limiter;
mod shares;
#[cfg(test)]
mod tests;
mod vegas;
mod window;

pub use aimd::Aimd;
pub use algorithm::{Algorithm, Fixed};
pub use gradient::{Gradient, Measured, MinRtt};
pub(crate) use limiter::Ended;
pub use limiter::{Limiter, Permit, Refused};
pub use shares::Shares;
pub use vegas::Vegas;
