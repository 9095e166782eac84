//! What a filter waits for that is not a point in time.

use std::fmt;
use std::task::{Poll, Waker};

/// Something that another request or the control side brings about, for
/// [`Step::WaitFor`](super::Step::WaitFor).
///
/// Dropping it gives up waiting, and whatever holds its waker lets go of it.
pub trait Awaited: Send + Sync + fmt::Debug {
    /// Whether it has happened. If not, `waker` is woken when it does: the last one that was passed
    /// in, at least once.
    fn poll_happened(&mut self, waker: &Waker) -> Poll<()>;
}
