mod group;
mod service;
#[cfg(test)]
mod tests;

pub use group::Outliers;
pub use service::{AnyResponse, ByStatus, HeadOf, Outlier, OutlierFuture, OutlierLayer};
