mod group;
mod layer;

#[cfg(test)]
mod tests;

pub use group::Outliers;
pub(crate) use layer::Trial;
pub use layer::{Endpoint, OutlierLayer};
