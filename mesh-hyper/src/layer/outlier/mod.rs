mod group;
mod service;
#[cfg(test)]
mod tests;

pub use group::Outliers;
pub use service::{OnlyErrors, Outcomes, Outlier, OutlierFuture, OutlierLayer, Statuses};
