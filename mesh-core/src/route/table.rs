use std::sync::Arc;

use super::domains::{Domains, Match};
use super::paths::{Candidates, Paths};
use super::{Builder, ClusterIndex, Explanation, NoRoute, Route};
use crate::request::RequestHead;
use crate::rng::Rng;

/// A RouteConfiguration, validated and compiled.
///
/// Made by [`Table::builder`]. Never changes; a new config is a new table.
#[derive(Debug)]
pub struct Table {
    pub(super) domains: Domains,
    pub(super) hosts: Box<[Host]>,
    pub(super) routes: Box<[Arc<Route>]>,
    pub(super) clusters: Box<[Arc<str>]>,
}

/// A virtual host, compiled.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) routes: Box<[Arc<Route>]>,
    pub(super) paths: Paths,
}

impl Table {
    /// Starts an empty table.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The route for `head`: the first of its virtual host that matches.
    ///
    /// Routes with a fraction take one number each from `rng`, in order, as far as the search gets
    /// and only when everything else of the route holds. Two routes with fractions are thus
    /// independent of each other (as in gRPC; in Envoy all of a request share one number).
    ///
    /// Allocates nothing, except: for an authority with upper case letters, for fields with several
    /// values, for a path under more than eight nested prefixes or more than four nested starts of
    /// regular expressions, and after one of several of those with the same start matched but
    /// another condition of its route did not.
    ///
    /// # Errors
    ///
    /// [`NoRoute`] when there is none; [`explain`](Self::explain) knows the details.
    pub fn find(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<&Arc<Route>, NoRoute> {
        let (host, _) = self.host(head.authority).ok_or(NoRoute::VirtualHost)?;
        let mut candidates = Candidates::new(head.path);
        host.paths.collect(&mut candidates);
        while let Some(index) = candidates.pop() {
            let Some(route) = usize::try_from(index).ok().and_then(|at| host.routes.get(at)) else {
                continue;
            };
            let matcher = &route.matcher;
            if matcher.obstacle(head).is_none()
                && matcher.fraction.is_none_or(|fraction| fraction.decide(rng))
            {
                return Ok(route);
            }
        }
        Err(NoRoute::Route { virtual_host: Arc::clone(&host.name) })
    }

    /// Why [`find`](Self::find) gives what it gives for `head`.
    ///
    /// Compares one route after the other; for people, not for the path of requests.
    #[must_use]
    pub fn explain(&self, head: &RequestHead<'_>) -> Explanation {
        Explanation::new(self, head)
    }

    /// The names of all clusters that the config names, each once. [`ClusterIndex`] points here.
    #[must_use]
    pub fn clusters(&self) -> &[Arc<str>] {
        &self.clusters
    }

    /// The name of a cluster of this table.
    #[must_use]
    pub fn cluster(&self, index: ClusterIndex) -> Option<&Arc<str>> {
        self.clusters.get(index.as_usize())
    }

    /// All routes in order of [`RouteId`](super::RouteId).
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The virtual host of an authority, and by which domain.
    pub(super) fn host(&self, authority: &str) -> Option<(&Host, Match<'_>)> {
        let (index, domain) = self.domains.find(authority)?;
        let host = usize::try_from(index).ok().and_then(|at| self.hosts.get(at))?;
        Some((host, domain))
    }
}
