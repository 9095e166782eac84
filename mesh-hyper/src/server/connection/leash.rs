//! Ends a stream that the application has taken over: after an upgrade it is not the connection's
//! task that reads it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Ends a stream, whoever has it, when it is dropped: nothing is read or written any more.
pub(super) struct Holder(Arc<Line>);

/// What a stream hears of its [`Holder`].
pub(super) struct Leash {
    line: Arc<Line>,
    reading: Pin<Box<OwnedNotified>>,
    writing: Pin<Box<OwnedNotified>>,
}

#[derive(Default)]
struct Line {
    is_cut: AtomicBool,
    is_gone: AtomicBool,
    cut: Arc<Notify>,
    gone: Notify,
}

/// The two ends of a new one.
pub(super) fn leash() -> (Holder, Leash) {
    let line = Arc::new(Line::default());
    let wait = || Box::pin(line.cut.clone().notified_owned());
    let (reading, writing) = (wait(), wait());
    (Holder(line.clone()), Leash { line, reading, writing })
}

impl Holder {
    /// Whether the stream is there still.
    pub(super) fn holds(&self) -> bool {
        !self.0.is_gone.load(Ordering::Acquire)
    }

    /// Waits until the stream is gone.
    pub(super) async fn gone(&self) {
        self.0.gone.notified().await;
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.is_cut.store(true, Ordering::Release);
        self.0.cut.notify_waiters();
    }
}

impl Leash {
    /// `read` of the stream, unless that was ended. The task is woken when it is.
    pub(super) fn reading<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        within(&self.line, &mut self.reading, cx, read)
    }

    /// `write` to the stream, as above.
    pub(super) fn writing<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        within(&self.line, &mut self.writing, cx, write)
    }
}

fn within<T>(
    line: &Line,
    cut: &mut Pin<Box<OwnedNotified>>,
    cx: &mut Context<'_>,
    act: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    let ended = || Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
    if line.is_cut.load(Ordering::Acquire) {
        return ended();
    }
    let acted = act(cx);
    // Registered first, then looked at: an end in between is not missed.
    if acted.is_pending()
        && (cut.as_mut().poll(cx).is_ready() || line.is_cut.load(Ordering::Acquire))
    {
        return ended();
    }
    acted
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.line.is_gone.store(true, Ordering::Release);
        self.line.gone.notify_one();
    }
}
