use std::sync::atomic::{AtomicU32, Ordering};

/// Stops retries while too many calls fail (gRFC A6, `retryThrottling`).
///
/// A bucket of tokens: a failure takes one, a success gives back a fraction of one, and nothing is
/// sent again while half of them or more are gone. Shared by all calls to one server name.
#[derive(Debug)]
pub struct Throttle {
    /// Thousandths of tokens.
    tokens: AtomicU32,
    max: u32,
    ratio: u32,
}

impl Throttle {
    /// A full bucket of `max` tokens, at most 1000, of which a success gives back `ratio`
    /// thousandths.
    #[must_use]
    pub fn new(max: u16, ratio: u16) -> Self {
        let max = u32::from(max.min(1_000)) * TOKEN;
        Self { tokens: AtomicU32::new(max), max, ratio: ratio.into() }
    }

    /// A call has failed so that it would be sent again. Returns whether it may be.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.update(|tokens| tokens.saturating_sub(TOKEN)) > self.max / 2
    }

    /// Whether calls may be sent again.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.tokens.load(Ordering::Relaxed) > self.max / 2
    }

    /// A call has succeeded.
    pub fn succeeded(&self) {
        // Full is what it usually is: then there is nothing to write.
        if self.tokens.load(Ordering::Relaxed) < self.max {
            self.update(|tokens| (tokens + self.ratio).min(self.max));
        }
    }

    /// Changes the tokens, and returns what they are then.
    fn update(&self, change: impl Fn(u32) -> u32) -> u32 {
        let mut now = self.tokens.load(Ordering::Relaxed);
        loop {
            let next = change(now);
            let order = Ordering::Relaxed;
            match self.tokens.compare_exchange_weak(now, next, order, order) {
                Ok(_) => return next,
                Err(other) => now = other,
            }
        }
    }
}

const TOKEN: u32 = 1_000;
