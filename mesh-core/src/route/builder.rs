use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::domains::Domains;
use super::paths::Paths;
use super::table::{Host, Table};
use super::{Action, ClusterIndex, Error, Route, RouteId, VirtualHost};
use crate::matcher::HeaderMatcher;

/// Collects what a [`Table`] is made of.
#[derive(Debug, Default)]
pub struct Builder {
    hosts: Vec<VirtualHost>,
    clusters: Vec<Arc<str>>,
    indexes: FxHashMap<Arc<str>, ClusterIndex>,
    ignore_port: bool,
}

impl Builder {
    /// The index of the cluster called `name`, to be used in the routes of this table.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`].
    pub fn cluster(&mut self, name: &str) -> Result<ClusterIndex, Error> {
        if let Some(index) = self.indexes.get(name) {
            return Ok(*index);
        }
        let index = ClusterIndex(index(self.clusters.len())?);
        let name: Arc<str> = name.into();
        self.clusters.push(Arc::clone(&name));
        self.indexes.insert(name, index);
        Ok(index)
    }

    /// Adds a virtual host, after the others.
    pub fn virtual_host(&mut self, host: VirtualHost) -> &mut Self {
        self.hosts.push(host);
        self
    }

    /// Compares domains with the authority without its port (Envoy's
    /// `ignore_port_in_host_matching`). By default the port is part of what is compared.
    pub fn ignore_port(&mut self) -> &mut Self {
        self.ignore_port = true;
        self
    }

    /// Validates and compiles.
    ///
    /// # Errors
    ///
    /// [`Error`], the first one met.
    pub fn build(self) -> Result<Table, Error> {
        let mut domains = Domains::new(self.ignore_port);
        let mut hosts = Vec::with_capacity(self.hosts.len());
        let mut routes = Vec::new();
        for host in self.hosts {
            domains.add(&host, index(hosts.len())?)?;
            let first = routes.len();
            for (position, mut route) in host.routes.into_iter().enumerate() {
                if !names_known_clusters(&route, self.clusters.len()) {
                    return Err(Error::UnknownCluster { virtual_host: host.name, route: position });
                }
                route.id = RouteId(index(routes.len())?);
                route.virtual_host = Arc::clone(&host.name);
                route.matcher.headers.sort_by_key(HeaderMatcher::cost);
                routes.push(Arc::new(route));
            }
            let own: Box<[_]> = routes.iter().skip(first).cloned().collect();
            let paths = Paths::new((0..).zip(own.iter().map(|route| &**route)));
            let paths = paths
                .map_err(|why| Error::Patterns { virtual_host: Arc::clone(&host.name), why })?;
            hosts.push(Host { name: host.name, routes: own, paths });
        }
        Ok(Table {
            domains,
            hosts: hosts.into(),
            routes: routes.into(),
            clusters: self.clusters.into(),
        })
    }
}

fn names_known_clusters(route: &Route, count: usize) -> bool {
    match &route.action {
        Action::Forward(forward) => {
            forward.cluster.clusters().all(|cluster| cluster.as_usize() < count)
        }
        Action::DirectResponse { .. }
        | Action::Redirect(_)
        | Action::NonForwarding
        | Action::Unsupported(_) => true,
    }
}

/// `u32::MAX` is left out: it stands for "none" in look-ups.
fn index(position: usize) -> Result<u32, Error> {
    u32::try_from(position).ok().filter(|index| *index < u32::MAX).ok_or(Error::TooMany)
}
