use super::priorities::Priorities;

/// Which endpoints are better not asked again (Envoy's `retry_host_predicate` and
/// `retry_priority`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hosts {
    /// Not those that were asked before (`previous_hosts`).
    pub avoid_previous: bool,
    /// Not those that have all of one of these sets of labels in their `envoy.lb` metadata
    /// (`omit_host_metadata`; `omit_canary_hosts` is the set `canary: true`).
    pub omit: Vec<Vec<(String, String)>>,
    /// How often another endpoint is looked for before the one at hand is taken all the same
    /// (`host_selection_retry_max_attempts`).
    pub attempts: u32,
    /// Which priorities are asked first (`retry_priority`); `None` is as for first attempts.
    pub priorities: Option<Priorities>,
}

impl Hosts {
    /// Picks by `pick` until there is an endpoint that is welcome, but not more often than
    /// [`attempts`](Self::attempts) allow: then the last one has to do. `None` as soon as `pick`
    /// has none.
    ///
    /// `tried` are the endpoints that were asked before; `label` reads the `envoy.lb` metadata of
    /// an endpoint.
    pub fn choose<'a, T: PartialEq>(
        &self,
        tried: &[T],
        mut pick: impl FnMut() -> Option<T>,
        label: impl Fn(&T, &str) -> Option<&'a str>,
    ) -> Option<T> {
        let mut found = pick()?;
        for _ in 0..self.attempts {
            let is_previous = self.avoid_previous && tried.contains(&found);
            let has = |(name, text): &(String, String)| label(&found, name) == Some(text.as_str());
            if !is_previous && !self.omit.iter().any(|labels| labels.iter().all(has)) {
                return Some(found);
            }
            found = pick()?;
        }
        Some(found)
    }

    /// Whether every endpoint is welcome.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.looks_back() && self.omit.is_empty()
    }

    /// Whether it matters which endpoints were asked before.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.avoid_previous || self.priorities.is_some()
    }
}

/// Every endpoint is welcome, and one look further is allowed (Envoy).
impl Default for Hosts {
    fn default() -> Self {
        Self { avoid_previous: false, omit: Vec::new(), attempts: 1, priorities: None }
    }
}
