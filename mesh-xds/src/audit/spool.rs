//! Where records wait to be written.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mesh_core::authz::Unrecorded;

use super::record;
use super::text::Members;

/// How much may wait to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Records at the most. Default: 16 384.
    pub records: usize,
    /// Bytes at the most. Default: 8 MiB.
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { records: 16_384, bytes: 8 << 20 }
    }
}

/// What happens to a decision for whose record there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It stands; its record is lost, which is counted and recorded as a gap (`fail_open`).
    #[default]
    Lose,
    /// What is allowed is refused all the same (`fail_closed`), which is counted and recorded.
    Refuse,
}

/// Something that is still not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records are still waiting to be written")]
pub struct Unwritten;

/// Where records end up. Used by one thread.
pub(super) trait Sink: Send + 'static {
    /// Writes `entries` from the front on, and removes those that are written for good.
    fn write(&mut self, entries: &mut VecDeque<Entry>) -> io::Result<()>;

    /// Nothing has come for a while.
    fn rest(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Nothing will come any more.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    Decision(Members),
    Gap(Gap),
}

impl Entry {
    pub(super) fn members(&self) -> Cow<'_, Members> {
        match self {
            Self::Decision(members) => Cow::Borrowed(members),
            Self::Gap(gap) => Cow::Owned(record::gap(gap.since, gap.lost, gap.refused)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Decision(members) => members.as_str().len(),
            Self::Gap(_) => 0,
        }
    }

    fn records(&self) -> usize {
        match self {
            Self::Decision(_) => 1,
            Self::Gap(_) => 0,
        }
    }
}

/// Decisions whose records there was no room for, in the place where they belong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    pub(super) since: SystemTime,
    pub(super) lost: u64,
    pub(super) refused: u64,
}

/// A bounded queue in front of a thread that writes.
pub(super) struct Spool {
    shared: Arc<Shared>,
    capacity: Capacity,
    when_full: WhenFull,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write, or nothing will come any more.
    work: Condvar,
    /// Everything is written, or the writer has ended.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// What waits or is being written.
    records: usize,
    bytes: usize,
    lost: u64,
    refused: u64,
    is_writing: bool,
    is_closed: bool,
    has_ended: bool,
}

impl Spool {
    /// Starts the thread that writes into `sink`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(
        sink: impl Sink,
        capacity: Capacity,
        when_full: WhenFull,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = shared.clone();
        let thread = thread::Builder::new().name("mesh-audit".into());
        thread.spawn(move || {
            writer.run(sink);
            writer.queue().has_ended = true;
            writer.done.notify_all();
        })?;
        Ok(Self { shared, capacity, when_full })
    }

    /// Puts in a record of something that happened at `time`. Never waits for the writer.
    pub(super) fn push(&self, members: Members, time: SystemTime) -> Result<(), Unrecorded> {
        let bytes = members.as_str().len();
        let mut queue = self.shared.queue();
        let has_room = queue.records < self.capacity.records
            && queue.bytes.saturating_add(bytes) <= self.capacity.bytes;
        if queue.has_ended || !has_room {
            return queue.miss(self.when_full, time);
        }
        queue.records += 1;
        queue.bytes += bytes;
        let was_empty = queue.entries.is_empty();
        queue.entries.push_back(Entry::Decision(members));
        drop(queue);
        if was_empty {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub(super) fn flush(&self, within: Duration) -> Result<(), Unwritten> {
        let until = Instant::now() + within;
        let mut queue = self.shared.queue();
        while !queue.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if queue.has_ended || left.is_zero() {
                return Err(Unwritten);
            }
            queue = wait(&self.shared.done, queue, left);
        }
        Ok(())
    }

    /// How many records were lost, and how many decisions refused for want of room.
    pub(super) fn missed(&self) -> (u64, u64) {
        let queue = self.shared.queue();
        (queue.lost, queue.refused)
    }
}

/// The thread ends once everything is written. That is waited for, but not for a disk that hangs.
impl Drop for Spool {
    fn drop(&mut self) {
        let until = Instant::now() + FAREWELL;
        let mut queue = self.shared.queue();
        queue.is_closed = true;
        self.shared.work.notify_all();
        while !queue.has_ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = wait(&self.shared.done, queue, left);
        }
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Spool");
        debug.field("capacity", &self.capacity).field("when_full", &self.when_full);
        debug.finish_non_exhaustive()
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.entries.is_empty() && !self.is_writing
    }

    /// Counts a decision without a record, in the place where the record would be.
    fn miss(&mut self, when_full: WhenFull, time: SystemTime) -> Result<(), Unrecorded> {
        let (lost, refused, answer) = match when_full {
            WhenFull::Lose => (1, 0, Ok(())),
            WhenFull::Refuse => (0, 1, Err(Unrecorded)),
        };
        self.lost += lost;
        self.refused += refused;
        match self.entries.back_mut() {
            Some(Entry::Gap(gap)) => {
                gap.lost += lost;
                gap.refused += refused;
            }
            Some(Entry::Decision(_)) | None => {
                self.entries.push_back(Entry::Gap(Gap { since: time, lost, refused }));
            }
        }
        answer
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut sink: impl Sink) {
        let (mut batch, mut fails) = (VecDeque::new(), false);
        loop {
            let is_closed = self.take(&mut batch, fails);
            if batch.is_empty() && is_closed {
                if let Err(why) = sink.close() {
                    tracing::error!(%why, "the audit log is not closed");
                }
                return;
            }
            let (records, bytes) = weight(&batch);
            let written = if batch.is_empty() { sink.rest() } else { sink.write(&mut batch) };
            let left = weight(&batch);
            self.written(records - left.0, bytes - left.1, batch.is_empty());
            match &written {
                Err(why) if is_closed => {
                    tracing::error!(%why, lost = left.0, "the audit log ends early");
                    return;
                }
                Err(why) if !fails => tracing::error!(%why, "audit records cannot be written"),
                Err(_) | Ok(()) => {}
            }
            fails = written.is_err();
        }
    }

    /// Moves what waits into `batch`, or waits for it, or until it is time to rest or to try again.
    /// Says whether nothing more will come.
    fn take(&self, batch: &mut VecDeque<Entry>, fails: bool) -> bool {
        let mut queue = self.queue();
        let has_work = !queue.entries.is_empty() && !fails;
        if !has_work && !queue.is_closed {
            queue = wait(&self.work, queue, if fails { RETRY } else { REST });
        }
        let mut entries = mem::take(&mut queue.entries);
        // As long as nothing can be written, there is one gap at the end, and not one for each try.
        if let (Some(Entry::Gap(gap)), Some(Entry::Gap(more))) = (batch.back_mut(), entries.front())
        {
            gap.lost += more.lost;
            gap.refused += more.refused;
            entries.pop_front();
        }
        batch.extend(entries);
        queue.is_writing = !batch.is_empty();
        queue.is_closed
    }

    fn written(&self, records: usize, bytes: usize, is_all: bool) {
        let mut queue = self.queue();
        queue.records -= records;
        queue.bytes -= bytes;
        queue.is_writing = !is_all;
        if queue.is_idle() {
            self.done.notify_all();
        }
    }
}

fn weight(batch: &VecDeque<Entry>) -> (usize, usize) {
    let add = |(records, bytes), it: &Entry| (records + it.records(), bytes + it.bytes());
    batch.iter().fold((0, 0), add)
}

fn wait<'q>(what: &Condvar, queue: MutexGuard<'q, Queue>, time: Duration) -> MutexGuard<'q, Queue> {
    what.wait_timeout(queue, time).unwrap_or_else(PoisonError::into_inner).0
}

/// How long after a failure the writer tries again.
const RETRY: Duration = Duration::from_secs(1);
/// How long without a record is a rest.
const REST: Duration = Duration::from_secs(10);
/// How long the end of a spool is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
