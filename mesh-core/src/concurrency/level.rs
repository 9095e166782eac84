use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How many requests are under way, and how many may be.
#[derive(Debug)]
pub(super) struct Level {
    limit: AtomicU32,
    in_flight: AtomicU32,
    /// Whether the limit mattered since this was last asked: half of it was used.
    is_used: AtomicBool,
    /// Whether somebody is changing the limit.
    turn: AtomicBool,
}

impl Level {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: AtomicU32::new(limit),
            in_flight: AtomicU32::new(0),
            is_used: AtomicBool::new(false),
            turn: AtomicBool::new(false),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes a place of the `share` of the limit, or says how many are taken.
    pub(super) fn enter(&self, share: impl Fn(u32) -> u32) -> Result<(), u32> {
        let mut taken = self.in_flight.load(Ordering::Relaxed);
        loop {
            let limit = self.limit();
            if taken >= share(limit) {
                self.used();
                return Err(taken);
            }
            let next = taken + 1;
            let (done, failed) = (Ordering::Acquire, Ordering::Relaxed);
            match self.in_flight.compare_exchange_weak(taken, next, done, failed) {
                Ok(_) => {
                    if next.saturating_mul(2) >= limit {
                        self.used();
                    }
                    return Ok(());
                }
                Err(other) => taken = other,
            }
        }
    }

    /// Gives a place back.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Release);
    }

    fn used(&self) {
        // A read that finds it costs other processors nothing.
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether half of the limit was used since this was last asked.
    pub(super) fn take_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    /// Runs `change` unless another is running: whoever comes second leaves it to the first.
    pub(super) fn in_turn<R>(&self, change: impl FnOnce() -> R) -> Option<R> {
        if self.turn.swap(true, Ordering::Acquire) {
            return None;
        }
        let done = change();
        self.turn.store(false, Ordering::Release);
        Some(done)
    }
}
