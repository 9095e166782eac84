//! The file that a chain is written into, and those that are full.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::Key;
use super::link::{Kind, Link};
use super::resume::{Resumed, segment};
use crate::audit::error::OpenError;
use crate::audit::spool::{Entry, Sink};
use crate::audit::text::Members;
use crate::audit::time::{Clock, rfc3339};

/// Everything about a file that may be chosen.
#[derive(Clone, Debug)]
pub(in crate::audit) struct FileSettings {
    pub(in crate::audit) path: PathBuf,
    pub(in crate::audit) node: Box<str>,
    pub(in crate::audit) key: Option<Key>,
    /// Records between checkpoints.
    pub(in crate::audit) every: u64,
    pub(in crate::audit) segment_bytes: u64,
}

impl FileSettings {
    pub(in crate::audit) fn new(path: PathBuf) -> Self {
        Self { path, node: Box::default(), key: None, every: 100, segment_bytes: 64 << 20 }
    }
}

/// Writes a chain.
///
/// Lines are written whole: what a failure leaves of one is cut off before the next.
#[derive(Debug)]
pub(in crate::audit) struct FileSink {
    settings: FileSettings,
    clock: Clock,
    file: File,
    /// How long the file is, up to its last whole line.
    length: u64,
    /// Whether there may be more in the file than that.
    is_torn: bool,
    /// The number of its first record.
    first: Option<u64>,
    link: Link,
}

impl FileSink {
    /// Opens the file, and notes that.
    pub(in crate::audit) fn open(settings: FileSettings, clock: Clock) -> Result<Self, OpenError> {
        let Resumed { file, length, first, link, torn } =
            Resumed::open(&settings.path, settings.key.clone())?;
        let mut sink = Self { settings, clock, file, length, is_torn: false, first, link };
        let begin = sink.begin(torn);
        match begin {
            Ok(()) => Ok(sink),
            Err(source) => Err(OpenError::File { path: sink.settings.path, source }),
        }
    }

    /// Writes the record that binds what follows to its place, its process and its time.
    fn begin(&mut self, torn: u64) -> io::Result<()> {
        let mut start = self
            .now()
            .text("format", FORMAT, 64)
            .text("node", &self.settings.node, 256)
            .plain("process", std::process::id());
        if self.settings.key.is_some() {
            start = start.plain("checkpoint_every", self.settings.every);
        }
        let gap = self.now().plain("lost", 1).plain("refused", 0).plain("torn", torn);
        let (mut link, mut lines) = (self.link.clone(), String::new());
        let first = link.next;
        link.add(Kind::Start, start.as_str(), &mut lines);
        if torn > 0 {
            link.add(Kind::Gap, gap.as_str(), &mut lines);
        }
        self.append(&lines, link)?;
        self.first.get_or_insert(first);
        Ok(())
    }

    /// Puts the file aside, and begins another.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(first) = self.first {
            self.end()?;
            fs::rename(&self.settings.path, segment(&self.settings.path, first))?;
            self.first = None;
        }
        // What is there now is nothing, or what an earlier try has left.
        let next = Resumed::open(&self.settings.path, self.settings.key.clone());
        let next = next.map_err(io::Error::other)?;
        (self.file, self.length, self.link) = (next.file, next.length, next.link);
        self.begin(next.torn)
    }

    fn end(&mut self) -> io::Result<()> {
        let (mut link, mut lines) = (self.link.clone(), String::new());
        link.add(Kind::End, self.now().as_str(), &mut lines);
        self.append(&lines, link)
    }

    /// Writes `lines`, with which the chain becomes `link`, or nothing.
    fn append(&mut self, lines: &str, link: Link) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.length)?;
            self.is_torn = false;
        }
        self.is_torn = true;
        self.file.write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        self.is_torn = false;
        self.length += u64::try_from(lines.len()).map_err(io::Error::other)?;
        self.link = link;
        Ok(())
    }

    fn now(&self) -> Members {
        Members::default().text("timestamp", &rfc3339(self.clock.now()), 64)
    }

    /// How many of `entries` fit, at least one, as lines, and what becomes of the chain.
    fn lines(&self, entries: &VecDeque<Entry>) -> (usize, String, Link) {
        let room = self.settings.segment_bytes.saturating_sub(self.length);
        let (mut link, mut lines, mut count) = (self.link.clone(), String::new(), 0);
        for entry in entries {
            if count > 0 && u64::try_from(lines.len()).is_ok_and(|length| length >= room) {
                break;
            }
            let kind = match entry {
                Entry::Decision(_) => Kind::Decision,
                Entry::Gap(_) => Kind::Gap,
            };
            link.add(kind, entry.members().as_str(), &mut lines);
            if link.key.is_some() && link.unsigned >= self.settings.every {
                link.add(Kind::Checkpoint, self.now().as_str(), &mut lines);
            }
            count += 1;
        }
        (count, lines, link)
    }
}

impl Sink for FileSink {
    fn write(&mut self, entries: &mut VecDeque<Entry>) -> io::Result<()> {
        while !entries.is_empty() {
            if self.first.is_none() || self.length >= self.settings.segment_bytes {
                self.rotate()?;
            }
            let (count, lines, link) = self.lines(entries);
            self.append(&lines, link)?;
            entries.drain(..count);
        }
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        if self.link.key.is_none() || self.link.unsigned == 0 || self.first.is_none() {
            return Ok(());
        }
        let (mut link, mut lines) = (self.link.clone(), String::new());
        link.add(Kind::Checkpoint, self.now().as_str(), &mut lines);
        self.append(&lines, link)
    }

    fn close(&mut self) -> io::Result<()> {
        self.end()
    }
}

/// Says how the lines are to be read.
const FORMAT: &str = "mesh-audit/1";
