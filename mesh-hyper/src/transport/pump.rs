//! Sends a request body that does not fit into its first look: one task per such body.
//!
//! Pulls a frame only when the peer has opened the window, so at most one frame per stream waits
//! here; stops when the peer resets the stream or the call is dropped. The task alone owns the body:
//! nothing is locked while it is polled. What was sent of it is kept, up to a bound, until the peer
//! begins to answer: it may be given back unprocessed until then, and goes back to the call when the
//! task ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::h1::{Outgoing, outgoing};
use super::look::Rest;
use super::replay::MAX_BODY;
use crate::error::BoxError;
use crate::runtime;

/// A pump at work, as the call holds it.
pub(crate) struct Pumping {
    task: AbortHandle,
    progress: Arc<Progress>,
    /// Brings the body back when the task ends; gone once the peer has begun to answer.
    back: Option<oneshot::Receiver<Outgoing>>,
}

impl Pumping {
    /// Stops the pump, and resets the stream unless the request had been sent in full.
    pub(crate) fn stop(self) {
        self.task.abort();
    }

    /// Why the body failed, if it did; once.
    pub(crate) fn failure(&self) -> Option<BoxError> {
        self.progress.failure().take()
    }

    /// Notes from now on when something was sent.
    pub(crate) fn watch(&self, now: Instant) {
        self.progress.watched_since.set(now).ok();
    }

    /// When something was last sent; `None` unless that is noted.
    pub(crate) fn last_sent(&self) -> Option<Instant> {
        let since = self.progress.watched_since.get()?;
        since.checked_add(Duration::from_nanos(self.progress.last.load(Ordering::Relaxed)))
    }

    /// Whether all that was sent is kept, and that is no more than `max` bytes.
    pub(crate) fn keeps(&self, max: usize) -> bool {
        self.back.is_some() && self.progress.sent.load(Ordering::Relaxed) <= max
    }

    /// The caller has got the head of a response: what was sent need not be kept any more.
    pub(crate) fn commit(&mut self) {
        self.back = None;
    }

    /// Stops the pump. The whole body comes back when the task has ended, to be sent once more,
    /// unless too much of it has gone already.
    pub(crate) fn take_back(&mut self) -> Option<oneshot::Receiver<Outgoing>> {
        self.task.abort();
        self.back.take()
    }
}

impl fmt::Debug for Pumping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pumping").finish_non_exhaustive()
    }
}

/// How far a pump has come, for the call.
#[derive(Default)]
struct Progress {
    /// Why the body failed, if it did.
    failure: Mutex<Option<BoxError>>,
    /// Bytes that were sent.
    sent: AtomicUsize,
    /// Since when it is noted when something was sent.
    watched_since: OnceLock<Instant>,
    /// When that last was, in nanoseconds since then.
    last: AtomicU64,
}

impl Progress {
    fn failure(&self) -> MutexGuard<'_, Option<BoxError>> {
        // It is only ever replaced as a whole.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame is being sent that has so many bytes.
    fn add(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        if let Some(since) = self.watched_since.get() {
            let passed = runtime::now().saturating_duration_since(*since).as_nanos();
            self.last.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

/// What was sent of a body, while that may have to be sent again.
struct Sent {
    frames: Vec<Frame<Bytes>>,
    /// Bytes in `frames`.
    size: usize,
    /// Where the body goes back to; closed when the peer has begun to answer.
    back: oneshot::Sender<Outgoing>,
}

impl Sent {
    /// Keeps a frame that is being sent; `false` when that is too much.
    fn keep(&mut self, frame: &Frame<Bytes>) -> bool {
        match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                self.size += data.len();
                self.frames.push(Frame::data(data.clone()));
            }
            (None, Some(trailers)) => self.frames.push(Frame::trailers(trailers.clone())),
            (None, None) => return false,
        }
        self.size <= MAX_BODY && self.frames.len() <= MAX_FRAMES
    }
}

/// Sends the rest of a body.
pub(crate) struct Pump<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    stream: SendStream<Bytes>,
    /// `None` only when the pump is dropped.
    rest: Option<Rest<B>>,
    sent: Option<Sent>,
    progress: Arc<Progress>,
    /// The window has room for at least a byte that is not sent yet.
    is_open: bool,
    /// The stream has got its end, or needs none any more.
    is_done: bool,
}

/// Frames sent in one poll, so that a body that is always ready leaves the worker to others.
const BURST: usize = 128;

/// Frames kept for sending again, besides the bound on their bytes.
const MAX_FRAMES: usize = 1024;

impl<B> Pump<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends `rest` on `stream`, in a task of `runtime`.
    pub(crate) fn start(stream: SendStream<Bytes>, rest: Rest<B>, runtime: &Handle) -> Pumping {
        let progress = Arc::<Progress>::default();
        let (sender, back) = oneshot::channel();
        let pump = Self {
            stream,
            rest: Some(rest),
            sent: Some(Sent { frames: Vec::new(), size: 0, back: sender }),
            progress: progress.clone(),
            is_open: false,
            is_done: false,
        };
        Pumping { task: runtime.spawn(pump).abort_handle(), progress, back: Some(back) }
    }

    /// Sends what there is, until there is nothing more to send on the stream.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sent.as_mut().is_some_and(|sent| sent.back.poll_closed(cx).is_ready()) {
            self.sent = None;
        }
        for _ in 0..BURST {
            if !self.is_open && !ready!(self.poll_open(cx)) {
                return Poll::Ready(());
            }
            let Some(rest) = &mut self.rest else { return Poll::Ready(()) };
            let Poll::Ready(frame) = Pin::new(&mut *rest).poll_frame(cx) else {
                // The peer may be done with the request before the caller is.
                return self.stream.poll_reset(cx).map(drop);
            };
            let is_last = rest.is_end_stream();
            match frame {
                Some(Ok(frame)) => {
                    if self.send(frame, is_last) {
                        return Poll::Ready(());
                    }
                }
                None => {
                    self.stream.send_data(Bytes::new(), true).ok();
                    return Poll::Ready(());
                }
                Some(Err(error)) => {
                    self.fail(error);
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    #[cold]
    fn fail(&mut self, error: BoxError) {
        self.sent = None;
        *self.progress.failure() = Some(error);
        self.stream.send_reset(Reason::CANCEL);
    }

    /// Waits until the window is open; `false` when the stream is over.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(1);
        loop {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(0))) => {}
                Poll::Ready(Some(Ok(_))) => break,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
                // It tells only of room that is new.
                Poll::Pending if self.stream.capacity() > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.is_open = true;
        Poll::Ready(true)
    }

    /// Sends one frame; whether nothing can follow it.
    fn send(&mut self, frame: Frame<Bytes>, is_last: bool) -> bool {
        self.progress.add(frame.data_ref().map_or(0, Bytes::len));
        if self.sent.as_mut().is_some_and(|sent| !sent.keep(&frame)) {
            self.sent = None;
        }
        match frame.into_data() {
            Ok(data) if is_last => {
                self.stream.send_data(data, true).ok();
                true
            }
            Ok(data) if data.is_empty() => false,
            Ok(data) => self.send_data(data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.stream.send_trailers(trailers).ok();
                }
                true
            }
        }
    }

    /// Sends data that more will follow; whether the stream is over.
    fn send_data(&mut self, data: Bytes) -> bool {
        // Room that is there at once wakes whoever has waited for the stream before, and that was
        // this task: it forgets its waker first, or it would be polled again for nothing.
        let mut nobody = Context::from_waker(Waker::noop());
        if self.stream.poll_reset(&mut nobody).is_ready() {
            return true;
        }
        // Room for the data, and for the first byte of what follows.
        let length = data.len();
        self.stream.reserve_capacity(length.saturating_add(1));
        self.is_open = self.stream.capacity() > length;
        self.stream.send_data(data, false).is_err()
    }
}

impl<B> Future for Pump<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_send(cx));
        self.is_done = true;
        Poll::Ready(())
    }
}

impl<B> Drop for Pump<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn drop(&mut self) {
        if !self.is_done {
            // Neither stopped nor broken bodies may leave the peer waiting for the rest.
            if std::thread::panicking() {
                *self.progress.failure() = Some("it panicked".into());
                self.sent = None;
            }
            self.stream.send_reset(Reason::CANCEL);
        }
        if let (Some(sent), Some(rest)) = (self.sent.take(), self.rest.take())
            && !sent.back.is_closed()
        {
            // Without effect when the call is dropped just now.
            sent.back.send(outgoing(rest.after(sent.frames))).ok();
        }
    }
}
