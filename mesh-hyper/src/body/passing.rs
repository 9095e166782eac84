//! A call's way through its filters, out of the way of calls that pass none.

use std::cell::RefCell;
use std::num::NonZeroU64;

use http::{HeaderMap, StatusCode};
use mesh_core::filter::{Chain, Context, End, Passage, Step};
use mesh_core::request::RequestHead;
use mesh_core::tenant::Tenant;

use crate::runtime;

/// Boxes kept per thread for the next calls.
const SPARE: usize = 64;

thread_local! {
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    static SPARES: RefCell<Vec<Box<Passage>>> = const { RefCell::new(Vec::new()) };
}

/// A call's passage through its filters, if it passes any.
///
/// Calls are moved several times, and most pass no filters: to them this is one pointer. The boxes
/// of the others are used again, so filters cost no allocation per call.
#[derive(Debug, Default)]
pub(crate) struct Passing(Option<Box<Passage>>);

impl Passing {
    /// At the first filter of `chain`.
    pub(crate) fn new(chain: Chain) -> Self {
        if chain.is_empty() {
            return Self(None);
        }
        Self(Some(match SPARES.with_borrow_mut(Vec::pop) {
            Some(mut spare) => {
                spare.restart(chain);
                spare
            }
            None => Box::new(Passage::new(chain)),
        }))
    }

    /// The same of a call that is made for a request of `tenant`.
    pub(crate) fn of(mut self, tenant: Option<Tenant>) -> Self {
        if let (Some(passage), Some(tenant)) = (&mut self.0, tenant) {
            passage.set_tenant(tenant);
        }
        self
    }

    /// As [`Passage::poll`]; `None` too when there are no filters.
    pub(crate) fn poll(
        &mut self,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        self.0.as_mut()?.poll(head, context)
    }

    /// As [`Passage::respond`].
    pub(crate) fn respond(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(passage) = &mut self.0 {
            passage.respond(status, headers);
        }
    }

    /// As [`Passage::throughput`].
    pub(crate) fn throughput(&mut self) -> Option<NonZeroU64> {
        self.0.as_mut()?.throughput()
    }

    /// As [`Passage::saw`].
    pub(crate) fn saw(&mut self, trailers: &HeaderMap) {
        if let Some(passage) = &mut self.0 {
            passage.saw(trailers);
        }
    }

    /// Tells the filters how the call ended.
    pub(crate) fn finish(mut self, end: End) {
        self.end(end);
    }

    /// The same, as long as the filters are kept. The first time counts.
    pub(crate) fn end(&mut self, end: End) {
        // The clock is read only if somebody wants to know.
        if let Some(passage) = self.0.as_mut().filter(|passage| passage.is_watched()) {
            passage.finish(end, runtime::now());
        }
    }
}

impl Drop for Passing {
    #[inline]
    fn drop(&mut self) {
        self.end(End::Cancelled);
        let Some(mut passage) = self.0.take() else { return };
        // Lets go of the configuration.
        passage.restart(Chain::default());
        // Without effect in a thread that is ending.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(passage);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_core::filter::{Entry, Filter, Slot};

    use super::*;

    #[derive(Debug)]
    struct Pass;

    impl Filter for Pass {
        fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
            Step::Continue
        }
    }

    fn place(passing: &Passing) -> *const Passage {
        passing.0.as_deref().map_or(std::ptr::null(), std::ptr::from_ref)
    }

    #[test]
    fn boxes_are_used_again_and_keep_no_configuration() {
        let filter = Arc::new(Pass);
        let chain = Chain::new(vec![Entry { name: "pass".into(), filter: filter.clone() }]);
        let first = Passing::new(chain.clone());
        let second = Passing::new(chain.clone());
        let (at, other) = (place(&first), place(&second));
        assert_ne!(at, other);
        first.finish(End::Complete);
        let third = Passing::new(chain);
        assert_eq!(place(&third), at);
        drop((second, third));
        assert_eq!(Arc::strong_count(&filter), 1);
    }

    #[test]
    fn calls_without_filters_take_no_box() {
        assert!(place(&Passing::new(Chain::default())).is_null());
        assert_eq!(size_of::<Passing>(), size_of::<usize>());
    }
}
