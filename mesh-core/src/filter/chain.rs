//! The filters of a route, and a call's passage through them.

use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use super::{Context, End, Factory, Filter, Settings, Slot, Step};
use crate::metadata::Metadata;
use crate::request::RequestHead;
use crate::tenant::Tenant;

/// How many filters' memory fits in the call itself; further ones take an allocation per call.
const INLINE: usize = 4;

/// One filter of a chain.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The instance name, which per-route configuration refers to.
    pub name: Arc<str>,
    /// The filter.
    pub filter: Arc<dyn Filter>,
}

/// A route's configuration for one filter (`typed_per_filter_config`).
#[derive(Clone)]
pub struct Override {
    /// What replaces or extends the listener's configuration; `None` only switches.
    pub settings: Option<Settings>,
    /// Whether the filter is off here.
    pub disabled: bool,
}

impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Override").field("disabled", &self.disabled).finish_non_exhaustive()
    }
}

/// The filters of a route, merged with its overrides when the configuration arrived.
#[derive(Clone, Debug, Default)]
pub struct Chain(Option<Arc<[Entry]>>);

impl Chain {
    /// The chain of `entries` in the order that requests travel.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        Self((!entries.is_empty()).then(|| entries.into()))
    }

    /// Whether there is no filter: the one branch that a route without filters pays.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The filters.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Adds the filter that `factory` makes of `base` under `overrides`, least specific first.
    ///
    /// The most specific override that switches decides whether it is there at all.
    pub fn extend(
        entries: &mut Vec<Entry>,
        name: &Arc<str>,
        factory: &dyn Factory,
        base: (&Settings, bool),
        overrides: &[&Override],
    ) {
        let (base, disabled) = base;
        if overrides.last().map_or(disabled, |o| o.disabled) {
            return;
        }
        let settings: Vec<Settings> = overrides.iter().filter_map(|o| o.settings.clone()).collect();
        let filter = factory.build_named(name, base, &settings);
        entries.push(Entry { name: name.clone(), filter });
    }
}

/// One call's way through a chain. Ends every filter that saw the request, also when dropped.
#[derive(Debug)]
pub struct Passage {
    chain: Chain,
    inline: [Slot; INLINE],
    more: Vec<Slot>,
    /// The filter that is asked next.
    at: usize,
    /// Whether that filter has seen the request.
    asked: bool,
    /// When a filter was asked last.
    seen: Option<Instant>,
    /// Whether a filter that was asked wants to be shown what becomes of the request.
    is_watched: bool,
    metadata: Metadata,
}

impl Passage {
    /// A passage at the first filter of `chain`.
    #[must_use]
    pub fn new(chain: Chain) -> Self {
        let mut passage = Self {
            chain: Chain::default(),
            inline: Default::default(),
            more: Vec::new(),
            at: 0,
            asked: false,
            seen: None,
            is_watched: false,
            metadata: Metadata::default(),
        };
        passage.restart(chain);
        passage
    }

    /// The same in the place of an earlier passage, which ends as when it is dropped.
    pub fn restart(&mut self, chain: Chain) {
        self.leave();
        let beyond = chain.entries().len().saturating_sub(INLINE);
        self.chain = chain;
        self.inline = Default::default();
        self.more.clear();
        self.more.resize_with(beyond, Slot::default);
        self.metadata = Metadata::default();
    }

    /// Whether a filter that was asked wants to be shown what becomes of the request. If not,
    /// everything but [`poll`](Self::poll) is without effect.
    #[inline]
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Says whose the request is before any filter is asked: in a client, that is known from the
    /// request that the call is made for.
    pub fn set_tenant(&mut self, tenant: Tenant) {
        // Nobody has said it before, and there is room: the metadata is empty.
        let _ = self.metadata.set_tenant(tenant);
    }

    /// Asks the current filter, and on [`Step::Continue`] moves to the next.
    ///
    /// `None` once the request has passed them all. After each step the caller applies
    /// `context.changes`, so that the next filter sees them.
    pub fn poll(&mut self, head: &RequestHead<'_>, context: &mut Context<'_>) -> Option<Step> {
        let entry = self.chain.entries().get(self.at)?;
        self.asked = true;
        self.seen = Some(context.now);
        let slot = match self.inline.get_mut(self.at) {
            Some(slot) => slot,
            None => self.more.get_mut(self.at - INLINE)?,
        };
        context.metadata = mem::take(&mut self.metadata);
        let step = entry.filter.poll_request(slot, head, context);
        self.metadata = mem::take(&mut context.metadata);
        self.is_watched |= !matches!(slot, Slot::Empty) || entry.filter.watches_all();
        if matches!(step, Step::Continue) {
            self.at += 1;
            self.asked = false;
        }
        Some(step)
    }

    /// Shows the response head to the filters that let the request pass, in inverse order.
    pub fn respond(&mut self, status: http::StatusCode, headers: &mut http::HeaderMap) {
        self.each_inverse(|filter, slot| filter.on_response(slot, status, headers));
    }

    /// Shows the trailers to the same filters.
    pub fn saw(&mut self, trailers: &http::HeaderMap) {
        self.each_inverse(|filter, slot| filter.on_trailers(slot, trailers));
    }

    /// Bytes of the response's body that may go on in a second: the fewest that a filter says.
    pub fn throughput(&mut self) -> Option<NonZeroU64> {
        let mut fewest: Option<NonZeroU64> = None;
        self.each_inverse(|filter, slot| {
            fewest = [fewest, filter.throughput(slot)].into_iter().flatten().min();
        });
        fewest
    }

    /// What the filters have said of the request.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Ends every filter that saw the request. The first time counts.
    pub fn finish(&mut self, end: End, now: Instant) {
        self.each_inverse(|filter, slot| filter.on_end(slot, end, now));
        (self.at, self.asked, self.seen, self.is_watched) = (0, false, None, false);
    }

    /// As far as it knows, the call ended when a filter was asked last.
    fn leave(&mut self) {
        if let Some(seen) = self.seen {
            self.finish(End::Cancelled, seen);
        }
    }

    fn each_inverse(&mut self, mut with: impl FnMut(&dyn Filter, &mut Slot)) {
        if !self.is_watched {
            return;
        }
        let entered = self.at + usize::from(self.asked);
        for (at, entry) in self.chain.entries().iter().enumerate().take(entered).rev() {
            let slot = match self.inline.get_mut(at) {
                Some(slot) => Some(slot),
                None => self.more.get_mut(at - INLINE),
            };
            if let Some(slot) = slot {
                with(&*entry.filter, slot);
            }
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.leave();
    }
}
