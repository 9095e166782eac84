//! The audit log of a program.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::authz::{
    AuditCondition, AuditEvent, AuditLogger, Facts, Judgement, Observer, Unrecorded,
};

use super::builder::AuditLogBuilder;
use super::record;
use super::redact::Redaction;
use super::spool::{Spool, Unwritten};
use super::time::Clock;

/// The audit log of a program: on the standard output, or chained in a file.
///
/// Given to [`Builder::audit`](crate::Builder::audit), it records what authorization decides at all
/// servers of a mesh. It is also an [`AuditLogger`], for factories of loggers that rules name.
/// Cheap to clone; with the last clone what waits is written, for two seconds at the most.
#[derive(Clone, Debug)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spool: Spool,
    condition: AuditCondition,
    redaction: Redaction,
    clock: Clock,
}

impl AuditLog {
    /// One on the standard output: a line for each record, `{"grpc_audit_log":{…}}`.
    pub fn stdout() -> AuditLogBuilder {
        AuditLogBuilder::stdout()
    }

    /// One in the file at `path`, in which records are chained by their hashes. One process writes
    /// into it.
    #[cfg(feature = "audit")]
    pub fn file(path: impl Into<std::path::PathBuf>) -> AuditLogBuilder {
        AuditLogBuilder::file(path.into())
    }

    pub(super) fn new(
        spool: Spool,
        condition: AuditCondition,
        redaction: Redaction,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner { spool, condition, redaction, clock }))
    }

    /// Waits until everything so far is written. Blocks the thread: not for the request path.
    ///
    /// # Errors
    /// [`Unwritten`] if it is not `within` that time.
    pub fn flush(&self, within: Duration) -> Result<(), Unwritten> {
        self.0.spool.flush(within)
    }

    /// How many records have been lost so far because the spool was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.spool.missed().0
    }

    /// How many decisions have been refused so far because the spool was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.spool.missed().1
    }
}

/// Records every event: the rules that name it have said when.
impl AuditLogger for AuditLog {
    fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        let now = self.0.clock.now();
        self.0.spool.push(record::decision(event, &self.0.redaction, now), now)
    }
}

/// Records what its own condition says. Shadow rules are recorded, but have no say.
impl Observer for AuditLog {
    fn judged(&self, judgement: &Judgement<'_>, facts: &Facts<'_>) -> Result<(), Unrecorded> {
        let audit = |event: Option<AuditEvent<'_>>| {
            let event = event.filter(|it| self.0.condition.is_met(it.decision.verdict));
            event.map_or(Ok(()), |event| self.log(&event))
        };
        let _ = audit(judgement.tried(facts));
        audit(judgement.enforced(facts))
    }

    /// Always recorded.
    fn let_in(&self, title: &Arc<str>, facts: &Facts<'_>) -> Result<(), Unrecorded> {
        self.log(&AuditEvent::emergency(title, *facts))
    }
}
