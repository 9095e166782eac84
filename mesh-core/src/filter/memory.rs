//! What filters remember of a connection.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What filters remember of one connection, until it ends.
///
/// Empty, it is one word. Entries are never taken out again: there is one for each configuration
/// that asks, and those that came before a change of configuration stay until the connection ends.
#[derive(Default)]
pub struct ConnectionMemory(OnceLock<Box<Node>>);

struct Node {
    /// Whose it is. Held, so that its address stays its own.
    owner: Arc<dyn Any + Send + Sync>,
    value: Arc<dyn Any + Send + Sync>,
    next: ConnectionMemory,
}

impl ConnectionMemory {
    /// What `owner` remembers of the connection; what `first` makes if that is nothing yet.
    pub fn of<O, T>(&self, owner: &Arc<O>, first: impl FnOnce() -> T) -> Arc<T>
    where
        O: Any + Send + Sync,
        T: Any + Send + Sync,
    {
        let mut first = Some(first);
        let mut here = self;
        loop {
            let node = here.0.get_or_init(|| {
                // The node that is made is the owner's own, so this is the last round.
                let value: Arc<dyn Any + Send + Sync> = match first.take() {
                    Some(first) => Arc::new(first()),
                    None => Arc::new(()),
                };
                Box::new(Node { owner: owner.clone(), value, next: Self::default() })
            });
            let is_own = std::ptr::addr_eq(Arc::as_ptr(&node.owner), Arc::as_ptr(owner));
            if is_own && let Ok(value) = node.value.clone().downcast::<T>() {
                return value;
            }
            here = &node.next;
        }
    }
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
}
