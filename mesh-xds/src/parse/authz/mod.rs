//! Authorization: Envoy's RBAC, of requests and of connections (gRFC A41, A59).
//!
//! ```text
//! http RBAC, RBACPerRoute ─► RbacFactory        ─► filter::Authorize  for listeners of servers
//! network RBAC            ─► NetworkRbacFactory ─► ConnectionFilter   asked once per connection
//! ```
//!
//! Whatever would let more through if it were left out is refused, with its path: conditions in
//! CEL, extensions and kinds of rules and of audit loggers that are not known, header fields that
//! gRPC keeps to itself.

mod audit;
mod condition;
mod http;
mod input;
mod network;
mod permission;
mod principal;
mod rules;
mod scope;
#[cfg(test)]
mod tests;
mod tree;

pub use audit::Auditing;
pub use http::RbacFactory;
pub use network::NetworkRbacFactory;
