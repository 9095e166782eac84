//! Limits on rates: what requests are counted as (`RateLimit` of routes), and the filters that
//! count.

mod bucket;
mod connections;
mod global;
mod local;
mod rule;
#[cfg(test)]
mod tests;

pub use connections::NetworkLocalRateLimitFactory;
pub use global::RateLimitFactory;
pub use local::LocalRateLimitFactory;
pub(super) use rule::{Place, rules};
