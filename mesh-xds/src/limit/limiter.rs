//! The buckets of one configuration, and the decision.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::limit::{Descriptor, Entry, Fill, TokenBucket};
use rustc_hash::FxHashMap;

use super::wildcard::Wildcard;

/// The buckets of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// For requests without a descriptor that is known here, and others if so configured.
    default: Option<Arc<TokenBucket>>,
    described: FxHashMap<Box<[Entry]>, Counted>,
    wildcards: Vec<(Wildcard, bool)>,
    /// Whether every request takes from the default bucket.
    always_default: bool,
}

/// A bucket that requests are counted in.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) bucket: Arc<TokenBucket>,
    /// Whether it only counts (`shadow_mode`).
    pub(crate) is_shadow: bool,
}

/// A descriptor with a limit of its own (Envoy's `LocalRateLimitDescriptor`).
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// Keys and values; an empty value stands for any.
    pub(crate) entries: Box<[Entry]>,
    pub(crate) fill: Fill,
    pub(crate) is_shadow: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// How long to wait, if it may not pass.
    pub(crate) refused: Option<Duration>,
    /// The bucket that says so: the one that is empty, or the one that fills most slowly.
    pub(crate) counted: Option<Counted>,
    /// What the descriptor says of telling the rest.
    pub(crate) tells_rest: Option<bool>,
}

impl Limiter {
    /// Buckets for `default` and for `described`, for each of which with open values up to `most`.
    pub(crate) fn new(default: Option<Fill>, described: &[Described], most: usize) -> Self {
        let bucket = |fill: Fill| Arc::new(TokenBucket::new(fill));
        let (open, exact): (Vec<_>, Vec<_>) =
            described.iter().partition(|it| it.entries.iter().any(|entry| entry.value.is_empty()));
        let exact = exact.into_iter().map(|it| {
            (it.entries.clone(), Counted { bucket: bucket(it.fill), is_shadow: it.is_shadow })
        });
        let open = open
            .into_iter()
            .map(|it| (Wildcard::new(it.entries.clone(), it.fill, most), it.is_shadow));
        Self {
            default: default.map(bucket),
            described: exact.collect(),
            wildcards: open.collect(),
            always_default: true,
        }
    }

    /// The same, where requests take from the default bucket always, or else only without a
    /// descriptor that is known.
    #[must_use]
    pub(crate) fn always_default(self, always_default: bool) -> Self {
        Self { always_default, ..self }
    }

    /// Whether there are limits by descriptor.
    pub(crate) fn has_descriptors(&self) -> bool {
        !self.described.is_empty() || !self.wildcards.is_empty()
    }

    /// Takes what a request with these `descriptors` counts as, the most slowly filling bucket
    /// first. What was taken before an empty bucket is met stays taken, as in Envoy, and one that
    /// only counts keeps no other from being asked.
    pub(crate) fn judge(&self, descriptors: &[Descriptor], now: Instant) -> Verdict {
        let mut matched: Vec<(Counted, &Descriptor)> =
            descriptors.iter().filter_map(|it| Some((self.find(&it.entries)?, it))).collect();
        let rate = |counted: &Counted| counted.bucket.fill().rate();
        matched.sort_by(|(a, _), (b, _)| rate(a).total_cmp(&rate(b)));
        for (counted, descriptor) in &matched {
            let hits = descriptor.hits.unwrap_or(1);
            if descriptor.gives_back && descriptor.hits.is_some() {
                counted.bucket.give_back(hits, now);
            } else if let Err(shortage) = counted.bucket.take(hits, now)
                && !counted.is_shadow
            {
                let refused = Some(shortage.wait);
                let (counted, tells_rest) = (Some(counted.clone()), descriptor.tells_rest);
                return Verdict { refused, counted, tells_rest };
            }
        }
        let default = self.default.as_ref().filter(|_| matched.is_empty() || self.always_default);
        let default = default.map(|bucket| Counted { bucket: bucket.clone(), is_shadow: false });
        if let Some(counted) = &default
            && let Err(shortage) = counted.bucket.take(1, now)
        {
            return Verdict { refused: Some(shortage.wait), counted: default, tells_rest: None };
        }
        match matched.into_iter().next() {
            Some((counted, descriptor)) => {
                Verdict { refused: None, counted: Some(counted), tells_rest: descriptor.tells_rest }
            }
            None => Verdict { refused: None, counted: default, tells_rest: None },
        }
    }

    fn find(&self, entries: &[Entry]) -> Option<Counted> {
        if let Some(counted) = self.described.get(entries) {
            return Some(counted.clone());
        }
        let (wildcard, is_shadow) = self.wildcards.iter().find(|(it, _)| it.matches(entries))?;
        Some(Counted { bucket: wildcard.bucket(entries), is_shadow: *is_shadow })
    }
}
