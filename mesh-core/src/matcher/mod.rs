//! Predicates on pieces of a request: strings, header fields, paths, query parameters, chance.
//!
//! Matchers are built once, from config, and validate there; matching cannot fail, sees bytes as
//! they are (a value that is not UTF-8 is still a value) and allocates only where a field has
//! several values that must be joined, or where `:path` has a query.
//!
//! Semantics are those of Envoy's matchers as narrowed by gRFC [A28] and [A63]. Not here: which
//! request is sent where ([`route`](crate::route)), and what identities are allowed to do
//! ([`authz`](crate::authz)).
//!
//! [A28]: https://github.com/grpc/proposal/blob/master/A28-xds-traffic-splitting-and-routing.md
//! [A63]: https://github.com/grpc/proposal/blob/master/A63-xds-string-matcher-in-header-matching.md

mod cidr;
mod error;
mod field;
mod fraction;
mod full_regex;
mod header;
mod metadata;
mod path;
mod query;
mod string;
mod template;
#[cfg(test)]
mod tests;

pub use cidr::Cidr;
pub use error::Error;
pub use field::Field;
pub use fraction::Fraction;
pub use full_regex::FullRegex;
pub(crate) use full_regex::{anchored, regex_error, syntax};
pub use header::{HeaderMatcher, ValueMatcher};
pub use metadata::{ContentMatcher, MetadataMatcher};
pub use path::{PathMatcher, PathPattern};
pub use query::{ParameterMatcher, QueryMatcher};
pub use string::{StringMatcher, StringPattern};
pub use template::PathTemplate;
