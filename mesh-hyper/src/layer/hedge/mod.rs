//! Sending slow requests a second time.

mod future;
mod layer;
#[cfg(test)]
mod tests;

pub use future::HedgeFuture;
pub use layer::{Hedge, HedgeLayer};
