//! Who writes decisions down (gRFC [A59]).
//!
//! [A59]: https://github.com/grpc/proposal/blob/master/A59-audit-logging.md

use std::fmt;
use std::sync::Arc;

use super::{Decision, Facts, Truth, Verdict};
use crate::metadata::Fields;

/// Writes decisions down. Called on the request path, before the request goes on: implementations
/// are quick and never block.
pub trait AuditLogger: Send + Sync + fmt::Debug {
    /// This was decided.
    ///
    /// # Errors
    /// [`Unrecorded`] if it cannot be written down and nothing may happen that is not: what the
    /// rules allow is then refused. Loggers that would rather lose a record say `Ok`.
    fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded>;
}

/// One decision, as loggers see it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// The name of the filter that the rules belong to.
    pub filter: &'a str,
    /// What was decided, and why.
    pub decision: Decision<'a>,
    /// Whether it counts.
    pub effect: Effect,
    /// What it was decided about.
    pub facts: Facts<'a>,
}

impl<'a> AuditEvent<'a> {
    /// That the emergency called `title` lets in what rules refuse.
    #[must_use]
    pub fn emergency(title: &'a Arc<str>, facts: Facts<'a>) -> Self {
        let decision = Decision {
            verdict: Verdict::Allow,
            policy: Some(title),
            rule: None,
            matched: Truth::Yes,
            log: None,
            audit: true,
        };
        Self { filter: "break_glass", decision, effect: Effect::Enforced, facts }
    }
}

/// Whether a decision counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It is enforced.
    Enforced,
    /// It is one of shadow rules, also known as a dry run.
    Shadow,
}

/// A decision could not be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decision cannot be recorded")]
pub struct Unrecorded;

/// Makes the loggers of one kind from what rules say about them. Runs when resources arrive.
pub trait AuditLoggerFactory: Send + Sync {
    /// The type URL of the configuration, or the one that is in the `TypedStruct` around it.
    fn type_url(&self) -> &str;

    /// The logger that `config` describes.
    ///
    /// # Errors
    /// What is wrong, with the field path; the resource is rejected with it.
    fn build(&self, config: AuditLoggerConfig<'_>) -> Result<Arc<dyn AuditLogger>, String>;
}

/// The configuration of a logger.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AuditLoggerConfig<'a> {
    /// A protobuf message.
    Message(&'a [u8]),
    /// The value in a `TypedStruct`.
    Struct(&'a Fields),
}

/// The loggers that rules name.
#[derive(Clone, Debug, Default)]
pub struct AuditLoggers(Box<[Arc<dyn AuditLogger>]>);

impl AuditLoggers {
    /// Tells all of them, also if one fails.
    pub(super) fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        let tell = |told: Result<(), Unrecorded>, logger: &Arc<dyn AuditLogger>| {
            let this = logger.log(event);
            told.and(this)
        };
        self.0.iter().fold(Ok(()), tell)
    }
}

impl FromIterator<Arc<dyn AuditLogger>> for AuditLoggers {
    fn from_iter<I: IntoIterator<Item = Arc<dyn AuditLogger>>>(loggers: I) -> Self {
        Self(loggers.into_iter().collect())
    }
}

/// Two are equal when they are the same loggers.
impl PartialEq for AuditLoggers {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|(one, two)| Arc::ptr_eq(one, two))
    }
}
