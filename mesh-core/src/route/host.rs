use std::sync::Arc;

use super::Route;

/// Routes for a set of domains (Envoy's `VirtualHost`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VirtualHost {
    /// A name for people: logs, metrics, errors.
    pub name: Arc<str>,
    /// Which authorities it serves, in any case: `a.example`, `*.example`, `*-x.example`,
    /// `a.*` or `*`. A `*` stands for at least one character. At least one domain.
    pub domains: Vec<String>,
    /// The routes, of which the first that matches counts.
    pub routes: Vec<Route>,
}

impl VirtualHost {
    /// A virtual host without routes.
    #[must_use]
    pub fn new(name: &str, domains: &[&str]) -> Self {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Self { name: name.into(), domains, routes: Vec::new() }
    }

    /// The same with one more route, after the others.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }
}
