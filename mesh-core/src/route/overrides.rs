use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What a route changes about filters (Envoy's `typed_per_filter_config`), in order of filter name.
///
/// The parser merges the levels: an entry of a route or weighted cluster replaces the one of its
/// virtual host with the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides(Vec<Override>);

/// What a route changes about one filter.
#[derive(Clone)]
#[non_exhaustive]
pub struct Override {
    /// The name of the filter's instance in the chain.
    pub filter: Arc<str>,
    /// The filter's own config for this route, made by the filter's factory, which knows its type.
    pub config: Arc<dyn Any + Send + Sync>,
    /// Whether the filter is left out for this route (Envoy's `FilterConfig.disabled`).
    pub disabled: bool,
}

impl Overrides {
    /// Adds `entry`, in place of one for the same filter.
    pub fn insert(&mut self, entry: Override) {
        match self.position(&entry.filter) {
            Ok(at) => self.0[at] = entry,
            Err(at) => self.0.insert(at, entry),
        }
    }

    /// The entry for `filter`.
    #[must_use]
    pub fn find(&self, filter: &str) -> Option<&Override> {
        self.position(filter).ok().and_then(|at| self.0.get(at))
    }

    /// All entries in order of filter name.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.0.iter()
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, filter: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.filter.as_ref().cmp(filter))
    }
}

impl Override {
    /// Gives `filter` a config of its own.
    #[must_use]
    pub fn new(filter: &str, config: Arc<dyn Any + Send + Sync>) -> Self {
        Self { filter: filter.into(), config, disabled: false }
    }

    /// Leaves `filter` out.
    #[must_use]
    pub fn disabled(filter: &str) -> Self {
        Self { filter: filter.into(), config: Arc::new(()), disabled: true }
    }
}

/// Configs are equal when they are the same object: their type is not known here.
impl PartialEq for Override {
    fn eq(&self, other: &Self) -> bool {
        let configs = (Arc::as_ptr(&self.config), Arc::as_ptr(&other.config));
        self.filter == other.filter
            && self.disabled == other.disabled
            && std::ptr::addr_eq(configs.0, configs.1)
    }
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Override")
            .field("filter", &self.filter)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
