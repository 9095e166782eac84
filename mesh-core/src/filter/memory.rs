//! What filters remember of a connection.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use crate::cell::Cell;

/// What filters remember of one connection, until it ends.
///
/// Empty, it is one word and a pointer. There is one entry for each configuration that asks and is
/// still in use.
#[derive(Default)]
pub struct ConnectionMemory(OnceLock<Box<Cell<Vec<Entry>>>>);

#[derive(Clone)]
struct Entry {
    /// Whose it is. Held, so that its address stays its own.
    owner: Weak<dyn Any + Send + Sync>,
    value: Arc<dyn Any + Send + Sync>,
}

impl ConnectionMemory {
    /// What `owner` remembers of the connection; what `first` makes if that is nothing yet.
    pub fn of<O, T>(&self, owner: &Arc<O>, first: impl FnOnce() -> T) -> Arc<T>
    where
        O: Any + Send + Sync,
        T: Any + Send + Sync,
    {
        let cell = self.0.get_or_init(|| Box::new(Cell::empty()));
        if let Some(value) = cell.load().as_deref().and_then(|entries| find(entries, owner)) {
            return value;
        }
        let mut value = Arc::new(first());
        cell.update(|entries| {
            let entries = entries.map_or(&[][..], |entries| entries.as_slice());
            if let Some(found) = find(entries, owner) {
                value = found;
                return Arc::new(entries.to_vec());
            }
            let is_used = |entry: &&Entry| entry.owner.strong_count() > 0;
            let mut next: Vec<_> = entries.iter().filter(is_used).cloned().collect();
            let owner = Arc::downgrade(owner);
            next.push(Entry { owner, value: value.clone() });
            Arc::new(next)
        });
        value
    }
}

fn find<O, T>(entries: &[Entry], owner: &Arc<O>) -> Option<Arc<T>>
where
    T: Any + Send + Sync,
{
    let is_own = |entry: &&Entry| std::ptr::addr_eq(entry.owner.as_ptr(), Arc::as_ptr(owner));
    entries.iter().filter(is_own).find_map(|entry| entry.value.clone().downcast().ok())
}

impl fmt::Debug for ConnectionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionMemory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn each_owner_finds_what_it_has_left() {
        let (memory, one, other) = (ConnectionMemory::default(), Arc::new(1), Arc::new(1));
        let count = |owner: &Arc<i32>| {
            let count = memory.of(owner, || AtomicU32::new(0));
            count.fetch_add(1, Ordering::Relaxed)
        };
        assert_eq!([count(&one), count(&other), count(&one), count(&other)], [0, 0, 1, 1]);
        assert_eq!(*memory.of(&one, || 'x'), 'x');
        let elsewhere = ConnectionMemory::default();
        assert_eq!(elsewhere.of(&one, || AtomicU32::new(7)).load(Ordering::Relaxed), 7);
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_forgotten() {
        let memory = ConnectionMemory::default();
        let (stays, kept) = (Arc::new(0), memory.of(&Arc::new(1), || "a"));
        for at in 0..100 {
            memory.of(&Arc::new(at), || "b");
            memory.of(&stays, || "c");
        }
        let left = memory.0.get().and_then(|cell| cell.load_full()).unwrap();
        assert!(left.len() <= 2, "{}", left.len());
        assert_eq!((Arc::strong_count(&kept), *memory.of(&stays, || "d")), (1, "c"));
    }
}
