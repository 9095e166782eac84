mod group;
mod service;
#[cfg(test)]
mod tests;

pub use group::Outliers;
pub use service::{Errors, Judge, Outlier, OutlierFuture, OutlierLayer, Statuses};
