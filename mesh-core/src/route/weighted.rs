use super::{ClusterIndex, Error, Overrides};
use crate::rng::Rng;

/// Clusters that share the traffic of a route (Envoy's `WeightedCluster`, gRFC A28).
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    clusters: Box<[WeightedCluster]>,
    /// The sum of the weights up to and with each cluster; strictly increasing, never empty.
    cumulative: Box<[u32]>,
}

/// One of the clusters that share the traffic of a route.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WeightedCluster {
    /// Where its share goes.
    pub cluster: ClusterIndex,
    /// Its share, in proportion to the sum of all weights.
    pub weight: u32,
    /// What it changes about filters, on top of the route.
    pub overrides: Overrides,
}

impl WeightedCluster {
    /// Gives `cluster` a share of `weight`.
    #[must_use]
    pub fn new(cluster: ClusterIndex, weight: u32) -> Self {
        Self { cluster, weight, overrides: Overrides::default() }
    }
}

impl Weighted {
    /// Splits traffic among `clusters`. Those without weight are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NoWeight`] when the sum is 0, [`Error::TooMuchWeight`] when it exceeds `u32::MAX`.
    pub fn new(clusters: Vec<WeightedCluster>) -> Result<Self, Error> {
        let clusters: Box<[_]> = clusters.into_iter().filter(|entry| entry.weight > 0).collect();
        let mut cumulative = Vec::with_capacity(clusters.len());
        let mut sum = 0u32;
        for entry in &clusters {
            sum = sum.checked_add(entry.weight).ok_or(Error::TooMuchWeight)?;
            cumulative.push(sum);
        }
        if sum == 0 {
            return Err(Error::NoWeight);
        }
        Ok(Self { clusters, cumulative: cumulative.into() })
    }

    /// Draws a cluster. Takes exactly one number from `rng`.
    #[must_use]
    pub fn choose(&self, rng: &mut dyn Rng) -> &WeightedCluster {
        let draw = rng.below(self.total());
        &self.clusters[self.cumulative.partition_point(|upto| *upto <= draw)]
    }

    /// The clusters that have weight, in order.
    #[must_use]
    pub fn clusters(&self) -> &[WeightedCluster] {
        &self.clusters
    }

    /// The sum of all weights, never 0.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.cumulative.last().copied().unwrap_or(0)
    }
}
