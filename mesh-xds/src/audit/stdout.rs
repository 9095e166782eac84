//! Records on the standard output, as gRFC A59 has them.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use mesh_core::authz::{
    AuditCondition, AuditEvent, AuditLogger, AuditLoggerConfig, AuditLoggerFactory, Unrecorded,
};

use super::log::AuditLog;
use super::redact::Redaction;
use super::spool::{Capacity, Entry, Sink, Spool, WhenFull};
use super::time::Clock;

/// Makes the loggers that Envoy and gRPC call
/// `envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog`.
///
/// All of them share one spool, which would rather lose a record than refuse a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdoutFactory;

impl AuditLoggerFactory for StdoutFactory {
    fn type_url(&self) -> &str {
        "type.googleapis.com/envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog"
    }

    /// The message has no fields.
    fn build(&self, _: AuditLoggerConfig<'_>) -> Result<Arc<dyn AuditLogger>, String> {
        Ok(Arc::new(Stdout))
    }
}

/// Writes to the standard output of the process.
#[derive(Debug)]
struct Stdout;

impl AuditLogger for Stdout {
    fn log(&self, event: &AuditEvent<'_>) -> Result<(), Unrecorded> {
        match &*STDOUT {
            Some(log) => log.log(event),
            // There is no thread to write, and the log says so. What is lost is not refused.
            None => Ok(()),
        }
    }
}

/// One thread for the process, started with the first record.
static STDOUT: LazyLock<Option<AuditLog>> = LazyLock::new(|| {
    let lines = Lines(io::stdout());
    let spool = Spool::start(lines, Capacity::default(), WhenFull::Lose);
    let spool = spool.inspect_err(|why| tracing::error!(%why, "nobody writes audit records"));
    let always = AuditCondition::OnDenyAndAllow;
    Some(AuditLog::new(spool.ok()?, always, Redaction::default(), Clock::default()))
});

/// Writes each record as a line.
pub(super) struct Lines<W>(pub(super) W);

impl<W: Write + Send + 'static> Sink for Lines<W> {
    fn write(&mut self, entries: &mut VecDeque<Entry>) -> io::Result<()> {
        while let Some(entry) = entries.front() {
            let name = match entry {
                Entry::Decision(_) => "grpc_audit_log",
                Entry::Gap(_) => "grpc_audit_gap",
            };
            let line = format!("{{\"{name}\":{{{}}}}}\n", entry.members().as_str());
            self.0.write_all(line.as_bytes())?;
            entries.pop_front();
        }
        self.0.flush()
    }
}
