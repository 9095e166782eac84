use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use crate::matcher::Fraction;
use crate::time::Epoch;

/// The calls of the last seconds and those of them that were sent again.
///
/// Calls only count themselves. It is retries that look at the time, and move two marks along, of
/// which the older is [`SPAN`] to twice that ago: what was counted since then is recent. So nothing
/// is allowed twice for one call, unless the call takes longer than `SPAN`.
///
/// Threads that meet while the marks are moved may see one of them where it was.
#[derive(Debug, Default)]
pub(super) struct Recent {
    epoch: Epoch,
    firsts: AtomicU32,
    agains: AtomicU32,
    /// When the newer mark was made, in milliseconds, and one; 0 if it was not.
    marked: AtomicU64,
    older: AtomicU64,
    newer: AtomicU64,
}

impl Recent {
    /// Counts a call.
    pub(super) fn first(&self) {
        self.firsts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a retry that others have made.
    pub(super) fn again(&self) {
        self.agains.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a retry, unless that would be more than `ratio` of the calls, and more than `reserve`.
    /// `under_way` calls have not ended, and are recent whenever they came.
    pub(super) fn admit(
        &self,
        ratio: Fraction,
        reserve: u32,
        under_way: u32,
        now: Instant,
    ) -> bool {
        self.mark(under_way, now);
        let Mark { firsts, agains } = Mark::from(self.older.load(Ordering::Relaxed));
        let recent = self.firsts.load(Ordering::Relaxed).wrapping_sub(firsts);
        let most = ratio.of(recent.max(under_way)).max(reserve);
        let admit = |now: u32| (now.wrapping_sub(agains) < most).then(|| now.wrapping_add(1));
        self.agains.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit).is_ok()
    }

    /// Moves the marks along.
    fn mark(&self, under_way: u32, now: Instant) {
        let now = self.epoch.millis(now) + 1;
        let marked = self.marked.load(Ordering::Relaxed);
        let age = now.saturating_sub(marked);
        let is_mine = (marked == 0 || age >= SPAN)
            && self
                .marked
                .compare_exchange(marked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_mine {
            return;
        }
        let firsts = self.firsts.load(Ordering::Relaxed);
        let mark = Mark { firsts, agains: self.agains.load(Ordering::Relaxed) };
        if marked != 0 && age < 2 * SPAN {
            self.older.store(self.newer.load(Ordering::Relaxed), Ordering::Relaxed);
            self.newer.store(mark.into(), Ordering::Relaxed);
        } else {
            // Nobody has looked for long. The calls under way, at least, are recent.
            let mark = Mark { firsts: firsts.wrapping_sub(under_way), ..mark };
            self.older.store(mark.into(), Ordering::Relaxed);
            self.newer.store(mark.into(), Ordering::Relaxed);
        }
    }
}

/// What had been counted at one time.
#[derive(Clone, Copy)]
struct Mark {
    firsts: u32,
    agains: u32,
}

impl From<u64> for Mark {
    fn from(packed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        Self { firsts: u32::from_be_bytes([a, b, c, d]), agains: u32::from_be_bytes([e, f, g, h]) }
    }
}

impl From<Mark> for u64 {
    fn from(mark: Mark) -> Self {
        Self::from(mark.firsts) << 32 | Self::from(mark.agains)
    }
}

/// How far apart the marks are at least, in milliseconds.
const SPAN: u64 = 5_000;
