//! Leaves a server alone that fails, and finds out by single requests when it is well again.
//!
//! A [`Breaker`] belongs to one server (or one service) and is shared by its calls. It lets all
//! requests pass until too many fail, then refuses them for a while, then lets one through as a
//! probe: a good answer opens the way again, a bad one makes the next wait longer. Endpoints of
//! clusters have a [`State`] each, which outlives the configuration of their cluster.
//!
//! ```
//! use std::time::Duration;
//! use mesh_core::breaker::{Breaker, Config};
//! use mesh_core::classify::Class;
//! use mesh_core::testing::{SequenceRng, at};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let breaker = Breaker::new(Config::consecutive(1)?);
//! let pass = breaker.admit(at(0)).pass().ok_or("refused")?;
//! let retry_after = Some(Duration::from_secs(5));
//! pass.done(Class::Bad, retry_after, at(0), &mut SequenceRng::new([0]));
//! assert!(breaker.admit(at(3)).is_refused());
//! # Ok(())
//! # }
//! ```

mod admission;
mod config;
mod handle;
mod state;
#[cfg(test)]
mod tests;
mod word;

pub use admission::{Admission, Change, Pass, Ticket};
pub use config::{Config, Invalid, Ratio};
pub use handle::Breaker;
pub use state::State;
