//! What is going to happen, in order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Events in the order of their times, and the time of the one that was taken last.
///
/// Events of the same time come in the order they were added, so that a run is the same every time.
#[derive(Debug)]
pub(super) struct Events<E> {
    start: Instant,
    now: Instant,
    added: u64,
    heap: BinaryHeap<Due<E>>,
}

impl<E> Events<E> {
    /// None. Where the clock starts makes no difference: only times between events count.
    pub(super) fn new() -> Self {
        let start = Instant::now();
        Self { start, now: start, added: 0, heap: BinaryHeap::new() }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Adds an event at `at`, or now if that is over.
    pub(super) fn at(&mut self, at: Instant, event: E) {
        self.added += 1;
        self.heap.push(Due { at: at.max(self.now), number: self.added, event });
    }

    /// Adds an event `wait` from now.
    pub(super) fn after(&mut self, wait: Duration, event: E) {
        self.at(self.now + wait, event);
    }

    /// Takes the next event, whose time it is then.
    pub(super) fn next(&mut self) -> Option<E> {
        let Due { at, event, .. } = self.heap.pop()?;
        self.now = at;
        Some(event)
    }
}

#[derive(Debug)]
struct Due<E> {
    at: Instant,
    number: u64,
    event: E,
}

/// The next is the greatest.
impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Due<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_their_times_and_of_being_added() {
        let mut events = Events::new();
        for (wait, name) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            events.after(Duration::from_millis(wait), name);
        }
        let order: String = std::iter::from_fn(|| events.next()).collect();
        assert_eq!((order.as_str(), events.elapsed()), ("abcd", Duration::from_millis(5)));
    }
}
