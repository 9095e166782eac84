//! A bounded number of requests at once, and a bounded number that wait.

mod future;
mod layer;
mod queue;
#[cfg(test)]
mod tests;

pub use future::BulkheadFuture;
pub use layer::{Bulkhead, BulkheadLayer};
