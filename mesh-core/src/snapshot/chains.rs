//! The filters of each route, merged with its overrides when the configuration arrives.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::filter::{Chain, Entry, Factory, Override, Settings};
use crate::route::{Action, ClusterChoice, Overrides, Route, Table};

/// A filter of the listener (`HttpConnectionManager.http_filters`).
#[derive(Clone)]
pub struct FilterConfig {
    /// The instance name, which overrides refer to.
    pub name: Arc<str>,
    /// Makes the filter.
    pub factory: Arc<dyn Factory>,
    /// The listener's own configuration of it.
    pub settings: Settings,
    /// Whether it is off where no override switches it on (`HttpFilter.disabled`).
    pub disabled: bool,
}

impl fmt::Debug for FilterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The filters of each route, and of each weighted cluster that has overrides of its own.
#[derive(Debug, Default)]
pub struct Chains {
    /// By route; empty when no route has a filter.
    routes: Box<[Chain]>,
    weighted: FxHashMap<(usize, usize), Chain>,
}

impl Chains {
    /// Merges the listener's `filters` with what the routes of `table` change about them.
    ///
    /// Overrides of a weighted cluster win over those of its route, which the parser has merged
    /// with those of its virtual host (gRFC A39).
    #[must_use]
    pub fn new(filters: &[FilterConfig], table: &Table) -> Self {
        if filters.is_empty() {
            return Self::default();
        }
        // Routes without overrides share one chain.
        let plain = merge(filters, &[]);
        let mut weighted = FxHashMap::default();
        let mut chain_of = |(at, route): (usize, &Arc<Route>)| {
            if let Action::Forward(forward) = &route.action
                && let ClusterChoice::Weighted(clusters) = &forward.cluster
            {
                for (entry, cluster) in clusters.clusters().iter().enumerate() {
                    if !cluster.overrides.is_empty() {
                        let chain = merge(filters, &[&route.overrides, &cluster.overrides]);
                        weighted.insert((at, entry), chain);
                    }
                }
            }
            match route.overrides.is_empty() {
                true => plain.clone(),
                false => merge(filters, &[&route.overrides]),
            }
        };
        let routes: Box<[Chain]> = table.routes().iter().enumerate().map(&mut chain_of).collect();
        let idle = weighted.is_empty() && routes.iter().all(Chain::is_empty);
        Self { routes: if idle { Box::default() } else { routes }, weighted }
    }

    /// The filters for a request on `route`, of which `entry` of its weighted clusters was drawn.
    #[inline]
    pub(super) fn find(&self, route: &Route, entry: Option<usize>) -> Chain {
        if self.routes.is_empty() {
            return Chain::default();
        }
        let at = route.id().as_usize();
        let special = entry.and_then(|entry| self.weighted.get(&(at, entry)));
        special.or_else(|| self.routes.get(at)).cloned().unwrap_or_default()
    }
}

fn merge(filters: &[FilterConfig], levels: &[&Overrides]) -> Chain {
    let mut entries: Vec<Entry> = Vec::new();
    for filter in filters {
        let overrides: Vec<Override> = levels
            .iter()
            .filter_map(|level| level.find(&filter.name))
            .map(|o| Override { settings: Some(o.config.clone()), disabled: o.disabled })
            .collect();
        let overrides: Vec<&Override> = overrides.iter().collect();
        let base = (&filter.settings, filter.disabled);
        Chain::extend(&mut entries, &filter.name, &*filter.factory, base, &overrides);
    }
    Chain::new(entries)
}
