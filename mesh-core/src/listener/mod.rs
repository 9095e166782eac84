//! Which filter chain of a server's listener a connection falls under (gRFC [A36]).
//!
//! ```text
//! Connection (addresses, first byte, Hello) ─ Selector ─> position of the chain, or none
//! ```
//!
//! The most specific chain wins, level by level and without a way back: destination address,
//! server name, transport protocol, application protocol, kind of source, source address, source
//! port. What a chain does with the
//! connection is not known here. [`Resets`] says when a connection is an attack.
//!
//! [A36]: https://github.com/grpc/proposal/blob/master/A36-xds-for-servers.md

mod hello;
mod prefix;
mod resets;
mod selector;
mod spoken;
#[cfg(test)]
mod tests;

pub use hello::{Hello, NamePattern};
pub use prefix::Prefix;
pub use resets::Resets;
pub use selector::{ChainMatch, Connection, Selector, SelectorError, SourceType, Transport};
pub use spoken::Spoken;
