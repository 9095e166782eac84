//! Everything about an audit log that may be chosen.

use std::io;
use std::time::SystemTime;

use mesh_core::authz::AuditCondition;

#[cfg(feature = "audit")]
use super::chain::{FileSettings, FileSink, Key};
use super::error::OpenError;
use super::log::AuditLog;
use super::redact::Redaction;
use super::spool::{Capacity, Spool, WhenFull};
use super::stdout::Lines;
use super::time::Clock;

/// Builds an [`AuditLog`]. Made by [`AuditLog::stdout`] and [`AuditLog::file`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is opened"]
pub struct AuditLogBuilder {
    condition: AuditCondition,
    capacity: Capacity,
    when_full: WhenFull,
    redaction: Redaction,
    clock: Clock,
    #[cfg(feature = "audit")]
    file: Option<FileSettings>,
}

impl AuditLogBuilder {
    pub(super) fn stdout() -> Self {
        Self {
            condition: AuditCondition::OnDenyAndAllow,
            capacity: Capacity::default(),
            when_full: WhenFull::default(),
            redaction: Redaction::default(),
            clock: Clock::default(),
            #[cfg(feature = "audit")]
            file: None,
        }
    }

    #[cfg(feature = "audit")]
    pub(super) fn file(path: std::path::PathBuf) -> Self {
        Self { file: Some(FileSettings::new(path)), ..Self::stdout() }
    }

    /// When the decisions of all rules are recorded. Does not hold for rules that name the log
    /// themselves. Default: always.
    pub fn on(mut self, condition: AuditCondition) -> Self {
        self.condition = condition;
        self
    }

    /// How much may wait to be written. Default: [`Capacity::default`].
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        self.capacity = capacity;
        self
    }

    /// What happens when no more may wait. Default: [`WhenFull::Lose`].
    pub fn when_full(mut self, what: WhenFull) -> Self {
        self.when_full = what;
        self
    }

    /// What records leave out. Default: header fields, queries and bodies.
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Takes the time from `now`. Default: the wall clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// The name that the file says its records are of, such as the node id of the bootstrap.
    /// Default: empty. Without effect on the standard output.
    #[cfg(feature = "audit")]
    pub fn node(mut self, id: impl Into<Box<str>>) -> Self {
        if let Some(file) = &mut self.file {
            file.node = id.into();
        }
        self
    }

    /// Signs checkpoints in the file with `key`. Default: there are none. Without effect on the
    /// standard output.
    #[cfg(feature = "audit")]
    pub fn key(mut self, key: Key) -> Self {
        if let Some(file) = &mut self.file {
            file.key = Some(key);
        }
        self
    }

    /// After how many records there is a checkpoint at the latest, at least 1. Default: 100.
    /// Without effect without a key.
    #[cfg(feature = "audit")]
    pub fn checkpoint_every(mut self, records: u64) -> Self {
        if let Some(file) = &mut self.file {
            file.every = records.max(1);
        }
        self
    }

    /// How long the file gets, in bytes, before another one is begun. Default: 64 MiB. Without
    /// effect on the standard output.
    #[cfg(feature = "audit")]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        if let Some(file) = &mut self.file {
            file.segment_bytes = bytes;
        }
        self
    }

    /// Opens the log and starts the thread that writes it.
    ///
    /// # Errors
    /// When the file cannot be opened or does not end in a whole record, or there can be no thread.
    pub fn open(self) -> Result<AuditLog, OpenError> {
        let spool = self.spool()?.map_err(OpenError::Thread)?;
        Ok(AuditLog::new(spool, self.condition, self.redaction, self.clock))
    }

    fn spool(&self) -> Result<io::Result<Spool>, OpenError> {
        #[cfg(feature = "audit")]
        if let Some(file) = &self.file {
            let sink = FileSink::open(file.clone(), self.clock.clone())?;
            return Ok(Spool::start(sink, self.capacity, self.when_full));
        }
        Ok(Spool::start(Lines(io::stdout()), self.capacity, self.when_full))
    }
}
