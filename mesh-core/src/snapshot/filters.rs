//! A listener's filters, and the chains that routes make of them.

use std::fmt;
use std::sync::Arc;

use crate::filter::{Chain, Factory, Override, Settings};
use crate::route::{self, Overrides};

/// One filter of a listener, as it is configured there.
#[derive(Clone)]
pub struct HttpFilter {
    /// The instance name, which per-route configuration refers to.
    pub name: Arc<str>,
    /// Makes the filter.
    pub factory: Arc<dyn Factory>,
    /// Its configuration in the listener.
    pub settings: Settings,
    /// Whether it is off where a route does not switch it on.
    pub disabled: bool,
}

impl HttpFilter {
    /// The clusters that `filters` send side calls to, each once and in order.
    pub fn clusters(filters: &[Self]) -> Vec<Arc<str>> {
        let named = filters.iter().flat_map(|it| it.factory.clusters(&it.settings));
        named.fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        })
    }

    /// The chain that `filters` make under `levels`, of which the last with an entry counts.
    pub(super) fn chain(filters: &[Self], levels: &[&Overrides]) -> Chain {
        let mut entries = Vec::new();
        for filter in filters {
            let found = levels.iter().rev().find_map(|level| level.find(&filter.name));
            let own: Option<Override> = found.map(Into::into);
            let base = (&filter.settings, filter.disabled);
            let overrides = own.as_ref();
            Chain::extend(&mut entries, &filter.name, &*filter.factory, base, overrides.as_slice());
        }
        Chain::new(entries)
    }
}

impl fmt::Debug for HttpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFilter")
            .field("name", &self.name)
            .field("type_url", &self.factory.type_url())
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

impl From<&route::Override> for Override {
    /// A route that only switches a filter carries no configuration, which is `()` there.
    fn from(entry: &route::Override) -> Self {
        let settings = (!entry.config.is::<()>()).then(|| entry.config.clone());
        Self { settings, disabled: entry.disabled }
    }
}
