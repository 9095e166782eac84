//! The place of a certificate provider, which another source may take while it is in use.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use mesh_core::cell::Listen;
use mesh_core::identity::{Material, Source, Unavailable};

/// A source that is whichever was put in last. Who has it hears of a new one as of new material, so
/// that configurations and open connections need not be told apart.
#[derive(Debug)]
pub(super) struct Seat(RwLock<Seated>);

struct Seated {
    source: Arc<dyn Source>,
    /// What its generations count on from (wrapping).
    base: u64,
    listeners: Vec<Weak<dyn Listen>>,
}

impl Seat {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self(RwLock::new(Seated { source, base: 0, listeners: Vec::new() }))
    }

    /// From now on `source` is in force.
    pub(super) fn replace(&self, source: &Arc<dyn Source>) {
        let listeners: Vec<_> = {
            let mut seated = self.0.write().unwrap_or_else(PoisonError::into_inner);
            seated.base = seated.generation().wrapping_add(1).wrapping_sub(source.generation());
            seated.source = source.clone();
            seated.listeners.iter().filter_map(Weak::upgrade).collect()
        };
        for listener in listeners {
            source.listen(&listener);
            listener.published();
        }
    }
}

impl Seated {
    fn generation(&self) -> u64 {
        self.base.wrapping_add(self.source.generation())
    }
}

impl Source for Seat {
    fn current(&self) -> Result<Arc<Material>, Unavailable> {
        let source = self.0.read().unwrap_or_else(PoisonError::into_inner).source.clone();
        source.current()
    }

    fn generation(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).generation()
    }

    fn listen(&self, listener: &Arc<dyn Listen>) {
        let mut seated = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seated.listeners.retain(|known| known.strong_count() > 0);
        seated.listeners.push(Arc::downgrade(listener));
        seated.source.listen(listener);
    }
}

impl std::fmt::Debug for Seated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mesh_core::identity::{Feed, Trust};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Listen for Count {
        fn published(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn material(crls: usize) -> Material {
        let crls = vec![Arc::from(*b"crl"); crls];
        Material { identity: None, trust: Trust::Unknown, crls }
    }

    #[test]
    fn who_listens_hears_of_a_new_source_and_of_its_changes() {
        let (first, second) = (Arc::new(Feed::of(material(0))), Arc::new(Feed::of(material(1))));
        for _ in 0..5 {
            second.publish(material(1));
        }
        let seat = Seat::new(first.clone());
        let count = Arc::new(Count::default());
        let listener: Arc<dyn Listen> = count.clone();
        seat.listen(&listener);
        let heard = || count.0.load(Ordering::Relaxed);
        let crls = || seat.current().unwrap().crls.len();
        let mut generation = seat.generation();
        let mut grown = || {
            let now = seat.generation();
            let before = std::mem::replace(&mut generation, now);
            now - before
        };
        first.publish(material(2));
        assert_eq!((heard(), crls(), grown()), (1, 2, 1));
        let source: Arc<dyn Source> = second.clone();
        seat.replace(&source);
        assert_eq!((heard(), crls(), grown()), (2, 1, 1));
        second.publish(material(3));
        assert_eq!((heard(), crls(), grown()), (3, 3, 1));
    }
}
