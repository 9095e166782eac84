//! Request bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

/// Messages as a case sends them.
pub(crate) fn fed() -> (mpsc::Sender<Bytes>, ReceiverStream<Bytes>) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, ReceiverStream::new(receiver))
}

/// Messages that are all there, and how many have been taken.
pub(crate) fn endless(message: Bytes, left: u64) -> (Repeated, Arc<AtomicU64>) {
    let taken = Arc::<AtomicU64>::default();
    (Repeated { message, left, taken: taken.clone() }, taken)
}

/// The same message many times.
pub(crate) struct Repeated {
    message: Bytes,
    left: u64,
    taken: Arc<AtomicU64>,
}

impl Stream for Repeated {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(self.message.clone()))
    }
}
