use std::time::{Duration, Instant};

/// Notices a client that opens streams only to reset them (CVE-2023-44487).
///
/// Looks at each [`BATCH`](Self::BATCH) of streams: one that was opened within
/// [`WINDOW`](Self::WINDOW), and more than half of which were reset before they were answered, is an
/// attack. Clients that give up long polls, or hedge, are not that fast.
#[derive(Clone, Copy, Debug)]
pub struct Resets {
    since: Instant,
    opened: u32,
    /// Resets of the connection when the batch began.
    before: u32,
}

impl Resets {
    /// Streams that are looked at together.
    pub const BATCH: u32 = 512;

    /// How soon after each other an attack opens them.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// A connection without streams.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, opened: 0, before: 0 }
    }

    /// Counts a stream; whether the connection is to be closed. `resets` are all that the client
    /// has reset unanswered so far. `now` is asked for once a batch.
    pub fn opened(&mut self, resets: u32, now: impl FnOnce() -> Instant) -> bool {
        self.opened += 1;
        if self.opened < Self::BATCH {
            return false;
        }
        let now = now();
        let is_fast = now.saturating_duration_since(self.since) < Self::WINDOW;
        let is_most = resets.saturating_sub(self.before) > Self::BATCH / 2;
        *self = Self { since: now, opened: 0, before: resets };
        is_fast && is_most
    }
}
