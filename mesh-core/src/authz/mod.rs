//! Authorization: who may do what (Envoy's RBAC, gRFC [A41]).
//!
//! ```text
//! Facts { request, peer, metadata } ─► Authorizer ─► Ruleset ─┬─ Rules: policies by name, an index
//!                                                             └─ Tree: a unified matcher
//!                                   ◄─ Decision { verdict, policy, rule, how sure }
//! ```
//!
//! Configuration is validated and compiled when it arrives; deciding cannot fail, takes no lock and
//! allocates nothing, except to join header fields of over a kilobyte. What cannot be decided is
//! [`Truth::Unknown`] and never opens anything. Not here: what a server answers to those it turns
//! away ([`filter`](crate::filter)), and where decisions are written down ([`AuditLogger`],
//! [`Observer`]).
//!
//! [A41]: https://github.com/grpc/proposal/blob/master/A41-xds-rbac.md

mod audit;
mod authorizer;
mod condition;
mod decision;
mod expression;
mod facts;
mod index;
mod input;
mod observe;
mod policy;
mod rules;
#[cfg(test)]
mod tests;
mod tree;
mod truth;

pub use audit::{
    AuditEvent, AuditLogger, AuditLoggerConfig, AuditLoggerFactory, AuditLoggers, Effect,
    Unrecorded,
};
pub use authorizer::{Authorizer, Ruleset};
pub use condition::{Condition, NameMatcher};
pub use decision::{Action, Decision, Rule, Verdict};
pub use expression::{Expression, MAX_DEPTH, TooDeep};
pub use facts::Facts;
pub use input::Input;
pub use observe::{AuditCondition, Judgement, Observer};
pub use policy::Policy;
pub use rules::Rules;
pub use tree::{Branches, MAX_TREE_DEPTH, OnMatch, Outcome, Tree};
pub use truth::Truth;
