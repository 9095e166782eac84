//! The publish/read cell: one value, replaced as a whole, read without a lock.
//!
//! `arc-swap` plus a generation. Readers on the request path take a guard ([`Cell::load`]) and clone
//! out what they keep. Nothing here waits: a shell that wants to sleep until the next publication
//! hands in a [`Listen`] and brings its own waker.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

/// Is told after each publication.
///
/// Called on the publishing thread: implementations only wake somebody.
pub trait Listen: Send + Sync {
    /// A new value is in the cell.
    fn published(&self);
}

/// A value that is replaced as a whole and read without a lock.
pub struct Cell<T> {
    value: ArcSwapOption<T>,
    generation: AtomicU64,
    listeners: ArcSwap<Vec<Weak<dyn Listen>>>,
}

impl<T> Cell<T> {
    /// An empty cell, at generation 0.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            value: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            listeners: ArcSwap::from_pointee(Vec::new()),
        }
    }

    /// A cell that holds `value`, at generation 1.
    #[must_use]
    pub fn new(value: Arc<T>) -> Self {
        let cell = Self::empty();
        cell.publish(value);
        cell
    }

    /// Replaces the value, then tells the listeners.
    pub fn publish(&self, value: Arc<T>) {
        self.value.store(Some(value));
        self.tell();
    }

    fn tell(&self) {
        self.generation.fetch_add(1, Ordering::Release);
        for listener in self.listeners.load().iter() {
            if let Some(listener) = listener.upgrade() {
                listener.published();
            }
        }
    }

    /// Replaces the value by what `next` makes of it, then tells the listeners. Runs `next` again
    /// where another publication comes between.
    pub fn update(&self, mut next: impl FnMut(Option<&Arc<T>>) -> Arc<T>) {
        self.value.rcu(|old| Some(next(old.as_ref())));
        self.tell();
    }

    /// The value, borrowed. Do not hold the guard over an `await`.
    #[inline]
    pub fn load(&self) -> Guard<Option<Arc<T>>> {
        self.value.load()
    }

    /// The value, owned. Costs a contended counter: not for the request path.
    #[must_use]
    pub fn load_full(&self) -> Option<Arc<T>> {
        self.value.load_full()
    }

    /// How many values have been published so far.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Tells `listener` of every later publication, until its last `Arc` is dropped.
    ///
    /// Register first, then [`load`](Self::load): a value published in between is not missed.
    pub fn listen(&self, listener: &Arc<dyn Listen>) {
        let new = Arc::downgrade(listener);
        self.listeners.rcu(|old| {
            let mut next: Vec<_> = old.iter().filter(|l| l.strong_count() > 0).cloned().collect();
            next.push(new.clone());
            next
        });
    }
}

impl<T: fmt::Debug> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell")
            .field("generation", &self.generation())
            .field("value", &self.value.load())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Listen for Count {
        fn published(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn listeners_hear_of_each_value_until_dropped() {
        let cell = Cell::empty();
        assert!(cell.load().is_none() && cell.generation() == 0);
        let count = Arc::new(Count::default());
        let listener: Arc<dyn Listen> = count.clone();
        cell.listen(&listener);
        cell.publish(Arc::new(1));
        cell.publish(Arc::new(2));
        drop(listener);
        assert_eq!((cell.load_full(), cell.generation()), (Some(Arc::new(2)), 2));
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        let weak = Arc::downgrade(&count);
        drop(count);
        cell.publish(Arc::new(3));
        assert!(weak.upgrade().is_none());
    }
}
