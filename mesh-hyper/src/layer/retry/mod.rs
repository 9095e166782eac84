//! Sending requests again that have failed.

mod future;
mod layer;
#[cfg(test)]
mod tests;

pub use future::RetryFuture;
pub use layer::{Retry, RetryLayer};
