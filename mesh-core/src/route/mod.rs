//! Which rule a request falls under and what the rule says to do (gRFC [A28], [A31]).
//!
//! ```text
//! RequestHead ─ domains ─> virtual host ─ paths ─> candidates by index ─ conditions ─> Arc<Route>
//! ```
//!
//! A [`Table`] is one RouteConfiguration, validated and compiled. [`Table::find`] is the decision:
//! the first route of the virtual host that matches, at a cost that does not grow with the number
//! of routes. [`Table::explain`] says in words why. Not here: what a cluster is, and how filters
//! read their [`Overrides`], which are opaque on this level.
//!
//! [A28]: https://github.com/grpc/proposal/blob/master/A28-xds-traffic-splitting-and-routing.md
//! [A31]: https://github.com/grpc/proposal/blob/master/A31-xds-timeout-support-and-config-selector.md

mod action;
mod builder;
mod domains;
mod error;
mod explain;
mod fields;
mod host;
mod overrides;
mod paths;
mod redirect;
mod rewrite;
mod rule;
mod table;
#[cfg(test)]
mod tests;
mod timeouts;
mod weighted;

pub use action::{Action, ClusterChoice, ClusterIndex, Forward, Target};
pub use builder::Builder;
pub use error::{Error, NoRoute};
pub use explain::Explanation;
pub use fields::{FieldChanges, FieldRules, NewField, Placing};
pub use host::VirtualHost;
pub use overrides::{Override, Overrides};
pub use redirect::{PathRedirect, Redirect, RedirectCode};
pub use rewrite::RegexRewrite;
pub use rule::{Route, RouteId, RouteMatch};
pub use table::Table;
pub use timeouts::Timeouts;
pub use weighted::{Weighted, WeightedCluster};
