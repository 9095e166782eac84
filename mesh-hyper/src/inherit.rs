//! The request in whose service a call is made.
//!
//! While a [`Server`](crate::Server) runs the user's service for a request, what the request hands
//! down is at hand in the thread; a call that is made meanwhile takes it. A task that the service
//! spawns is on its own unless it is told otherwise ([`InRequest::in_request`]).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::inherited::Inherited;
use pin_project_lite::pin_project;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Inherited>>> = const { RefCell::new(None) };
}

/// Runs `run` within the request that hands down `inherited`, or within none.
#[inline]
pub(crate) fn within<R>(inherited: Option<&Arc<Inherited>>, run: impl FnOnce() -> R) -> R {
    /// Puts back what was there, also when `run` panics.
    struct Entered(Option<Arc<Inherited>>);
    impl Drop for Entered {
        fn drop(&mut self) {
            let before = self.0.take();
            // A thread that is ending has nothing to put back.
            drop(CURRENT.try_with(|current| current.replace(before)));
        }
    }
    let entered = inherited.cloned();
    let _entered = Entered(CURRENT.with(|current| current.replace(entered)));
    run()
}

/// Shows `see` what the current request hands down; `None` outside of any.
#[inline]
pub(crate) fn with<R>(see: impl FnOnce(Option<&Arc<Inherited>>) -> R) -> R {
    CURRENT.with(|current| see(current.borrow().as_ref()))
}

/// What the request hands down in whose service the caller runs; `None` outside of any, and if that
/// is nothing.
///
/// Its deadline, how much it matters, its name and its trace: what calls of this mesh take from it
/// by themselves, for whatever else should.
#[must_use]
pub fn inherited() -> Option<Arc<Inherited>> {
    with(|current| current.cloned())
}

/// Futures that belong to a request wherever they run.
pub trait InRequest: Future + Sized {
    /// The future as part of the request in whose service this is called: calls made in it inherit
    /// from the request although it runs in a task of its own.
    ///
    /// ```
    /// use mesh_hyper::InRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let audited = async { /* calls made here have the deadline of the request */ };
    /// tokio::spawn(audited.in_request()).await.unwrap();
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// As safe as the future itself.
    fn in_request(self) -> Inheriting<Self> {
        Inheriting { future: self, inherited: inherited() }
    }

    /// The future as part of no request: calls made in it inherit nothing, and may go on when the
    /// request has been answered.
    ///
    /// # Cancel safety
    /// As safe as the future itself.
    fn outside_request(self) -> Inheriting<Self> {
        Inheriting { future: self, inherited: None }
    }
}

impl<F: Future> InRequest for F {}

pin_project! {
    /// A future that runs as part of a request, or of none.
    #[must_use = "futures do nothing unless polled"]
    pub struct Inheriting<F> {
        #[pin]
        future: F,
        inherited: Option<Arc<Inherited>>,
    }
}

impl<F: Future> Future for Inheriting<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        within(this.inherited.as_ref(), || this.future.poll(cx))
    }
}

impl<F> fmt::Debug for Inheriting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inheriting").field("inherited", &self.inherited).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::inherited::Caller;

    use super::*;

    fn named(id: &'static str) -> Arc<Inherited> {
        let value = http::HeaderValue::from_static(id);
        let headers = http::HeaderMap::from_iter([(REQUEST_ID, value)]);
        Arc::new(Inherited::of(&headers, Caller::Stranger, None))
    }

    const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

    fn current() -> Option<String> {
        inherited().and_then(|it| Some(it.request_id()?.to_str().ok()?.to_owned()))
    }

    #[tokio::test]
    async fn a_spawned_task_belongs_to_a_request_if_told_so() {
        let tasks = within(Some(&named("7")), || {
            let inside = tokio::spawn(async { current() }.in_request());
            let alone = tokio::spawn(async { current() });
            [inside, alone]
        });
        let [inside, alone] = tasks;
        assert_eq!(inside.await.unwrap().as_deref(), Some("7"));
        assert_eq!(alone.await.unwrap(), None);
    }

    #[test]
    fn requests_nest_and_end_also_by_a_panic() {
        within(Some(&named("1")), || {
            let ended = std::panic::catch_unwind(|| within(Some(&named("2")), || panic!("over")));
            assert!(ended.is_err());
            assert_eq!(current().as_deref(), Some("1"));
            within(None, || assert_eq!(current(), None));
            assert_eq!(current().as_deref(), Some("1"));
        });
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn a_future_can_be_outside() {
        let poll = within(Some(&named("1")), || async { current() }.outside_request());
        assert_eq!(poll.await, None);
    }
}
