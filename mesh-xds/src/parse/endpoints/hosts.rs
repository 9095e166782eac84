//! The DNS names in a cluster's own assignment.

use std::sync::Arc;

use mesh_core::cluster::{HostPort, LocalityName};

use super::{Origin, Path, Reject, address, localities};
use crate::proto::eds;

/// The names in the assignment `raw`, which is at `path`, by priority.
pub(in crate::parse) fn hosts(raw: &[u8], path: &Path<'_>) -> Result<Vec<HostPort>, Reject> {
    let message = eds::Assignment::read(raw).map_err(|e| path.reject(e))?;
    let places = localities(&message.localities, Origin::Cluster, path)?;
    let mut hosts = Vec::new();
    for (locality, place) in places.iter().enumerate() {
        let path = path.element("endpoints", place.at);
        let name = Arc::new(LocalityName::from(place.name));
        for (at, raw) in place.endpoints.iter().enumerate() {
            let named = address::named(raw, &path.element("lb_endpoints", at))?;
            hosts.push(HostPort {
                host: named.host.into(),
                port: named.port,
                locality,
                name: name.clone(),
                locality_weight: place.weight,
                priority: place.priority,
                weight: named.weight,
                labels: named.labels,
                metadata: named.metadata,
            });
        }
    }
    Ok(hosts)
}

impl From<eds::LocalityName<'_>> for LocalityName {
    fn from(name: eds::LocalityName<'_>) -> Self {
        Self { region: name.region.into(), zone: name.zone.into(), sub_zone: name.sub_zone.into() }
    }
}
