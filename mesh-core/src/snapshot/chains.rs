//! The filter chains of all routes, merged when the configuration arrives.

use super::HttpFilter;
use crate::filter::Chain;
use crate::route::{Action, ClusterChoice, Overrides, Route, RouteId, Table};

/// The filter chain of each route of a table. Empty, and without an allocation, if there are no
/// filters.
#[derive(Debug, Default)]
pub struct Chains {
    routes: Box<[RouteChains]>,
}

#[derive(Debug)]
struct RouteChains {
    own: Chain,
    /// Parallel to the route's weighted clusters; empty where they change nothing.
    weighted: Box<[Chain]>,
}

impl Chains {
    /// The chains that `filters` make for the routes of `table`.
    ///
    /// Routes that change nothing share one chain, and with it the filters' state.
    #[must_use]
    pub fn new(filters: &[HttpFilter], table: &Table) -> Self {
        if filters.is_empty() {
            return Self::default();
        }
        let plain = HttpFilter::chain(filters, &[]);
        let chain = |levels: &[&Overrides]| match levels.iter().all(|l| l.is_empty()) {
            true => plain.clone(),
            false => HttpFilter::chain(filters, levels),
        };
        let routes = table.routes().iter().map(|route| {
            let weighted = weighted(route);
            let changes = weighted.iter().any(|entry| !entry.overrides.is_empty());
            let weighted = weighted.iter().filter(|_| changes);
            let weighted = weighted.map(|entry| chain(&[&route.overrides, &entry.overrides]));
            RouteChains { own: chain(&[&route.overrides]), weighted: weighted.collect() }
        });
        Self { routes: routes.collect() }
    }

    /// The chain for a call on `route` that was sent to the cluster which brought `entry` along.
    pub(super) fn find(&self, route: &Route, entry: Option<&Overrides>) -> Chain {
        let Some(chains) = self.route(route.id()) else { return Chain::default() };
        let chosen = entry.filter(|_| !chains.weighted.is_empty()).and_then(|entry| {
            let at = weighted(route).iter().position(|w| std::ptr::eq(&w.overrides, entry))?;
            chains.weighted.get(at)
        });
        chosen.unwrap_or(&chains.own).clone()
    }

    fn route(&self, id: RouteId) -> Option<&RouteChains> {
        self.routes.get(id.as_usize())
    }
}

fn weighted(route: &Route) -> &[crate::route::WeightedCluster] {
    match &route.action {
        Action::Forward(forward) => match &forward.cluster {
            ClusterChoice::Weighted(weighted) => weighted.clusters(),
            ClusterChoice::One(_) | ClusterChoice::Header(_) => &[],
        },
        Action::DirectResponse { .. }
        | Action::Redirect(_)
        | Action::NonForwarding
        | Action::Unsupported(_) => &[],
    }
}
