use std::fmt;
use std::sync::Arc;

use super::{Action, FieldRules, Forward, Overrides, Timeouts};
use crate::limit;
use crate::matcher::{Fraction, HeaderMatcher, PathMatcher, QueryMatcher};
use crate::metadata::Metadata;
use crate::request::{Protocol, RequestHead};

/// One rule of a virtual host (Envoy's `Route`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// A name for people, which may be empty (Envoy's `Route.name`).
    pub name: Arc<str>,
    /// Which requests it is for.
    pub matcher: RouteMatch,
    /// What happens to them.
    pub action: Action,
    /// How long they may take. Default: no limits.
    pub timeouts: Timeouts,
    /// What it changes about filters. Default: nothing.
    pub overrides: Overrides,
    /// What else is said of it, for filters (Envoy's `Route.metadata`). Default: nothing.
    pub metadata: Metadata,
    /// What its requests are counted as, for filters that limit rates. Default: nothing.
    pub limits: limit::Rules,
    /// What servers change about header fields; `None` is nothing, which is the default.
    pub fields: Option<Arc<FieldRules>>,
    pub(super) id: RouteId,
    pub(super) virtual_host: Arc<str>,
}

/// Which requests a route is for. All of its conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The path without the query.
    pub path: PathMatcher,
    /// Header fields. The table asks cheap questions first, whatever the order here.
    pub headers: Vec<HeaderMatcher>,
    /// Query parameters.
    pub query: Vec<QueryMatcher>,
    /// Whether only gRPC requests match (Envoy's `grpc`). Default `false`.
    pub grpc_only: bool,
    /// The share of requests that matches, decided when everything else holds (`runtime_fraction`).
    pub fraction: Option<Fraction>,
}

/// A route by its position in [`Table::routes`](super::Table::routes): dense, from 0, in order of
/// virtual hosts and their routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub(super) u32);

impl RouteId {
    /// The position, to index arrays with that run parallel to the routes of the table.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Route {
    /// How it sends requests on, if it does.
    #[must_use]
    pub fn forward(&self) -> Option<&Forward> {
        match &self.action {
            Action::Forward(forward) => Some(forward),
            Action::DirectResponse { .. }
            | Action::Redirect(_)
            | Action::NonForwarding
            | Action::Unsupported(_) => None,
        }
    }

    /// Does `action` to what `matcher` matches, without name, limits and overrides.
    #[must_use]
    pub fn new(matcher: RouteMatch, action: Action) -> Self {
        Self {
            name: Arc::default(),
            matcher,
            action,
            timeouts: Timeouts::default(),
            overrides: Overrides::default(),
            metadata: Metadata::default(),
            limits: limit::Rules::default(),
            fields: None,
            id: RouteId::default(),
            virtual_host: Arc::default(),
        }
    }

    /// Its position in the table; 0 until it is in one.
    #[must_use]
    pub fn id(&self) -> RouteId {
        self.id
    }

    /// The name of its virtual host; empty until it is in a table.
    #[must_use]
    pub fn virtual_host(&self) -> &Arc<str> {
        &self.virtual_host
    }
}

impl RouteMatch {
    /// Matches requests by their path alone.
    #[must_use]
    pub fn new(path: PathMatcher) -> Self {
        Self { path, headers: Vec::new(), query: Vec::new(), grpc_only: false, fraction: None }
    }

    /// The same for requests that also match `header`.
    #[must_use]
    pub fn header(mut self, header: HeaderMatcher) -> Self {
        self.headers.push(header);
        self
    }

    /// Whether the request matches, whatever the [`fraction`](Self::fraction).
    #[must_use]
    pub fn matches(&self, head: &RequestHead<'_>) -> bool {
        self.path.matches(head.path) && self.obstacle(head).is_none()
    }

    /// The first condition besides path and fraction that does not hold.
    pub(super) fn obstacle(&self, head: &RequestHead<'_>) -> Option<Obstacle<'_>> {
        if self.grpc_only && head.protocol != Protocol::Grpc {
            return Some(Obstacle::Protocol);
        }
        if let Some(header) = self.headers.iter().find(|header| !header.matches(head)) {
            return Some(Obstacle::Header(header));
        }
        let mut query = self.query.iter();
        query.find(|parameter| !parameter.matches(head)).map(Obstacle::Query)
    }

    /// Whether the path alone decides.
    pub(super) fn is_unconditional(&self) -> bool {
        self.headers.is_empty()
            && self.query.is_empty()
            && !self.grpc_only
            && self.fraction.is_none()
    }
}

/// A condition that does not hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle<'a> {
    Protocol,
    Header(&'a HeaderMatcher),
    Query(&'a QueryMatcher),
}

impl fmt::Display for Obstacle<'_> {
    /// Names the field, never a value of the request: explanations end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => f.write_str("the request is not gRPC"),
            Self::Header(header) => write!(f, "header {} does not match", header.field),
            Self::Query(query) => write!(f, "query parameter {} does not match", query.name),
        }
    }
}
