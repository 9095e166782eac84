//! Which addresses the clusters of a configuration have.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::cluster::{Address, Assignment, Discovery, HostPort};

use super::network::InMemory;
use crate::file::FileResource;
use crate::name::ResourceType;
use crate::parse::{self, Registry};

/// A cluster of a test's configuration, and where its endpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster {
    /// Its name; in the short form `service/version`.
    pub name: Arc<str>,
    /// The addresses of its endpoints. A DNS name has one that the kit makes up.
    pub addresses: Vec<Address>,
}

/// The clusters in `resources` by their names. What a mesh would refuse is left out, and so are
/// aggregates, which have the endpoints of others.
pub(super) fn clusters(resources: &[FileResource], network: &InMemory) -> Vec<Cluster> {
    let of_type = |kind: ResourceType| {
        resources.iter().filter(move |resource| resource.type_url == kind.type_url())
    };
    let assignment = |service: &str| {
        let found = of_type(ResourceType::ClusterLoadAssignment).find(|it| it.name == service)?;
        parse::endpoints::update(None, &found.value).ok()
    };
    let registry = Registry::default().any_certificate_provider();
    let mut clusters: Vec<Cluster> = of_type(ResourceType::Cluster)
        .filter_map(|resource| {
            let config = parse::cluster::parse(&resource.value, &registry).ok()?;
            let addresses = match &config.discovery {
                Discovery::Static(assignment) => addresses(assignment),
                Discovery::Eds { service } => assignment(service).as_ref().map(addresses)?,
                Discovery::StrictDns { hosts, .. } => {
                    hosts.iter().map(|host| resolved(host, network)).collect()
                }
                Discovery::LogicalDns { host, .. } => vec![resolved(host, network)],
                Discovery::Aggregate(_) | _ => return None,
            };
            Some(Cluster { name: config.name, addresses })
        })
        .collect();
    clusters.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    clusters
}

fn addresses(assignment: &Assignment) -> Vec<Address> {
    let endpoints = assignment.localities.iter().flat_map(|locality| locality.endpoints.iter());
    endpoints.flat_map(|endpoint| endpoint.addresses()).cloned().collect()
}

fn resolved(host: &HostPort, network: &InMemory) -> Address {
    Address::Socket(SocketAddr::new(network.address(&host.host), host.port))
}
