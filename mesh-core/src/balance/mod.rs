//! What a cluster is connected to: which endpoints, which priority, which connections take calls.
//!
//! ```text
//! Version ──► Balance ──► Action: connect, retire, abandon ──► the shell's connections
//!               ▲  │                                                │
//!               │  └────► View: what can take calls ──► lb::Picker  │
//!               └──────────── connected, failed, closed ◄───────────┘
//! ```
//!
//! [`Balance`] opens no connection itself and chooses no endpoint for a call; it is told what
//! happened and answers with [`Action`]s and a [`View`]. Priorities fail over as gRFC [A56] says,
//! endpoints are health-filtered as in [A27], ejected ones count as failed as in A50, `pick_first` follows [A61] and [A62], and endpoints
//! get further connections as in A105. Retries may want another priority than the active one.
//!
//! Reconfiguring costs time in proportion to the endpoints; every other event touches the
//! endpoint it is about, plus the priorities, of which there are few.
//!
//! [A27]: https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md
//! [A56]: https://github.com/grpc/proposal/blob/master/A56-priority-lb-policy.md
//! [A61]: https://github.com/grpc/proposal/blob/master/A61-IPv4-IPv6-dualstack-backends.md
//! [A62]: https://github.com/grpc/proposal/blob/master/A62-pick-first.md

mod action;
mod aside;
mod ejection;
mod entry;
mod failover;
mod first;
mod machine;
mod priority;
mod rebuild;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use action::{Action, Closed, ConnectionId};
pub use ejection::Ejection;
pub use machine::Balance;
pub use view::{Condition, Group, Reachable, View};
