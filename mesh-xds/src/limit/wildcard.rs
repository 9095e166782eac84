//! Buckets for descriptors of which only the keys are known beforehand.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::limit::{Entry, Fill, TokenBucket};

/// A bucket for each combination of values: the last used ones, up to a bound.
#[derive(Debug)]
pub(super) struct Wildcard {
    /// Keys, and values where they are given; an empty value stands for any.
    pattern: Box<[Entry]>,
    fill: Fill,
    most: usize,
    seen: Mutex<Seen>,
}

type Values = Arc<[Arc<str>]>;

/// Buckets by values, which callers choose: hence a hash that they cannot foresee.
#[derive(Debug, Default)]
struct Seen {
    /// Each with the turn it was last used in.
    buckets: HashMap<Values, (Arc<TokenBucket>, u64)>,
    /// The same in order of these turns.
    order: BTreeMap<u64, Values>,
    turn: u64,
}

impl Wildcard {
    pub(super) fn new(pattern: Box<[Entry]>, fill: Fill, most: usize) -> Self {
        Self { pattern, fill, most: most.max(1), seen: Mutex::default() }
    }

    pub(super) fn matches(&self, entries: &[Entry]) -> bool {
        let is_it = |(own, entry): (&Entry, &Entry)| {
            own.key == entry.key && (own.value.is_empty() || own.value == entry.value)
        };
        self.pattern.len() == entries.len() && self.pattern.iter().zip(entries).all(is_it)
    }

    /// The bucket for `entries`. A new one, full, takes the place of the one that was not used for
    /// the longest time if there are too many.
    pub(super) fn bucket(&self, entries: &[Entry]) -> Arc<TokenBucket> {
        let values: Values = entries.iter().map(|entry| entry.value.clone()).collect();
        // Nothing in here panics half way.
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bucket(values, self.fill, self.most)
    }
}

impl Seen {
    fn bucket(&mut self, values: Values, fill: Fill, most: usize) -> Arc<TokenBucket> {
        self.turn += 1;
        if let Some((bucket, used)) = self.buckets.get_mut(&values) {
            self.order.remove(used);
            *used = self.turn;
            self.order.insert(self.turn, values);
            return bucket.clone();
        }
        if self.buckets.len() >= most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.buckets.remove(&oldest);
        }
        let bucket = Arc::new(TokenBucket::new(fill));
        self.order.insert(self.turn, values.clone());
        self.buckets.insert(values, (bucket.clone(), self.turn));
        bucket
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::testing::at;

    use super::*;

    #[test]
    fn the_bucket_that_was_not_used_for_longest_makes_room() {
        let fill = Fill { max_tokens: 1, tokens_per_fill: 1, interval: std::time::Duration::MAX };
        let entry = |value: &str| [Entry::new(&"user".into(), value)];
        let wildcard = Wildcard::new(entry("").into(), fill, 2);
        let take = |user| wildcard.bucket(&entry(user)).take(1, at(1)).is_ok();
        assert_eq!(["a", "b", "a", "b"].map(take), [true, true, false, false]);
        // `a` is used again, so `c` takes the place of `b`.
        assert_eq!(["a", "c", "a", "b"].map(take), [false, true, false, true]);
        assert!(wildcard.matches(&entry("x")) && !wildcard.matches(&[]));
        assert!(!wildcard.matches(&[Entry::new(&"other".into(), "x")]));
    }
}
