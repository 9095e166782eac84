//! Authorization: Envoy's RBAC, of requests and of connections (gRFC A41, A59).
//!
//! ```text
//! http RBAC, RBACPerRoute ─► RbacFactory        ─► filter::Authorize  for listeners of servers
//! network RBAC            ─► NetworkRbacFactory ─► ConnectionFilter   asked once per connection
//! ```
//!
//! Whatever would let more through if it were left out is refused, with its path: conditions in
//! CEL, extensions and kinds of rules that are not known, audit loggers that must be there, header
//! fields that gRPC keeps to itself.

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

pub use http::RbacFactory;
pub use network::NetworkRbacFactory;
