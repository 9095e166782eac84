use std::sync::atomic::{AtomicU32, Ordering};

/// How many requests suffer from faults at present.
#[derive(Debug, Default)]
pub struct Active(AtomicU32);

impl Active {
    /// Counts one more, unless there are `most` already. Whoever was counted must
    /// [`leave`](Self::leave).
    #[must_use]
    pub fn enter(&self, most: Option<u32>) -> bool {
        let most = most.unwrap_or(u32::MAX);
        let more = |count: u32| count.checked_add(1).filter(|count| *count <= most);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Counts one less.
    pub fn leave(&self) {
        let less = |count: u32| count.checked_sub(1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
