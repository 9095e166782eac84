//! A server that fails is left alone.

mod layer;
#[cfg(test)]
mod tests;

pub use layer::BreakerLayer;
