//! Sends a request body that does not fit into its first look: one task per such body.
//!
//! Pulls a frame only when the peer has opened the window, so at most one frame per stream waits
//! here; stops when the peer resets the stream or the call is dropped. Keeps what it has sent, up to
//! a bound, until the peer begins to answer: it may be given back unprocessed until then.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::h1::{Outgoing, outgoing};
use super::replay::MAX_BODY;
use crate::body::BoxError;

/// What the first look at a body has found.
pub(crate) enum Look {
    /// No content at all.
    Empty,
    /// All of the content.
    Whole(Bytes),
    /// The beginning; more comes.
    More(Vec<Frame<Bytes>>),
    /// The body failed.
    Failed(BoxError),
}

/// Reads what `body` has at hand, without waiting: at most two frames.
pub(crate) fn look<B>(body: &mut B) -> Look
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Look::Empty;
    }
    // Whoever polls last is woken: a pump that takes over polls again with its own waker.
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut frames = Vec::new();
    let mut first: Option<Bytes> = None;
    loop {
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => break,
            Poll::Ready(None) if frames.is_empty() => {
                return first.map_or(Look::Empty, Look::Whole);
            }
            Poll::Ready(None) => break,
            Poll::Ready(Some(Err(error))) => return Look::Failed(error.into()),
            Poll::Ready(Some(Ok(frame))) => match (frame.into_data(), first.take()) {
                (Ok(data), None) if frames.is_empty() => {
                    if body.is_end_stream() {
                        return Look::Whole(data);
                    }
                    first = Some(data);
                }
                (Ok(data), before) => {
                    frames.extend(before.map(Frame::data));
                    frames.push(Frame::data(data));
                    break;
                }
                (Err(trailers), before) => {
                    frames.extend(before.map(Frame::data));
                    frames.push(trailers);
                    break;
                }
            },
        }
    }
    let mut all: Vec<_> = first.map(Frame::data).into_iter().collect();
    all.append(&mut frames);
    Look::More(all)
}

/// A pump at work, as the call holds it.
pub(crate) struct Pumping {
    task: AbortHandle,
    work: Arc<dyn Working>,
}

/// What a call may want of its pump, whatever body that has.
trait Working: Send + Sync {
    fn failure(&self) -> Option<BoxError>;
    fn commit(&self);
    fn take_back(&self) -> Option<Outgoing>;
}

impl Pumping {
    /// Stops the pump, and resets the stream unless the request had been sent in full.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    /// Why the body failed, if it did; once.
    pub(crate) fn failure(&self) -> Option<BoxError> {
        self.work.failure()
    }

    /// The peer has begun to answer: what was sent need not be kept any more.
    pub(crate) fn commit(&self) {
        self.work.commit();
    }

    /// The whole body, to be sent once more, unless too much of it has gone already.
    pub(crate) fn take_back(&self) -> Option<Outgoing> {
        self.task.abort();
        self.work.take_back()
    }
}

impl fmt::Debug for Pumping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pumping").finish_non_exhaustive()
    }
}

/// A body on its way.
struct Work<B> {
    /// Locked while the body is polled.
    state: Mutex<State<B>>,
    /// Why the body failed.
    failure: Mutex<Option<BoxError>>,
    /// The peer has begun to answer.
    is_committed: AtomicBool,
}

struct State<B> {
    /// `None` when it was taken back.
    rest: Option<Rest<B>>,
    /// What was sent of it, while that may have to be sent again.
    sent: Option<Vec<Frame<Bytes>>>,
    /// Bytes in `sent`.
    size: usize,
}

impl<B> Work<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        // A body that panics leaves it as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<BoxError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> State<B> {
    /// Keeps a frame that is being sent, up to a bound.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(sent) = &mut self.sent else { return };
        match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) if self.size + data.len() <= MAX_BODY && sent.len() < MAX_FRAMES => {
                self.size += data.len();
                sent.push(Frame::data(data.clone()));
            }
            (None, Some(trailers)) => sent.push(Frame::trailers(trailers.clone())),
            _ => self.sent = None,
        }
    }
}

impl<B> Working for Work<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn failure(&self) -> Option<BoxError> {
        Work::failure(self).take()
    }

    fn commit(&self) {
        // No lock: the body itself may be what polls for the answer.
        self.is_committed.store(true, Ordering::Release);
    }

    fn take_back(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        let mut ahead = state.sent.take()?;
        let Rest { ahead: unsent, body, is_done } = state.rest.take()?;
        ahead.extend(unsent.into_iter().rev());
        Some(outgoing(Rest { is_done, ..Rest::new(ahead, body) }))
    }
}

/// Sends the rest of a body.
pub(crate) struct Pump<B> {
    stream: SendStream<Bytes>,
    work: Arc<Work<B>>,
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
        let state = State { rest: Some(rest), sent: Some(Vec::new()), size: 0 };
        let work = Arc::new(Work {
            state: Mutex::new(state),
            failure: Mutex::default(),
            is_committed: AtomicBool::new(false),
        });
        let pump = Self { stream, work: work.clone(), is_done: false };
        Pumping { task: runtime.spawn(pump).abort_handle(), work }
    }
}

impl<B> Pump<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends what there is, until there is nothing more to send on the stream.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.work.lock();
        if self.work.is_committed.load(Ordering::Acquire) {
            state.sent = None;
        }
        for _ in 0..BURST {
            if self.stream.capacity() == 0 {
                self.stream.reserve_capacity(1);
                if self.stream.poll_reset(cx).is_ready() {
                    return Poll::Ready(());
                }
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(0)) => continue,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(()),
                }
            }
            let Some(rest) = &mut state.rest else { return Poll::Ready(()) };
            let Poll::Ready(frame) = Pin::new(&mut *rest).poll_frame(cx) else {
                // The peer may be done with the request before the caller is.
                return self.stream.poll_reset(cx).map(drop);
            };
            let last = rest.is_end_stream();
            let frame = match frame {
                None => {
                    self.stream.send_data(Bytes::new(), true).ok();
                    return Poll::Ready(());
                }
                Some(Err(error)) => {
                    *self.work.failure() = Some(error);
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => frame,
            };
            state.keep(&frame);
            let sent = match frame.into_data() {
                Ok(data) if data.is_empty() && !last => continue,
                Ok(data) => self.stream.send_data(data, last),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.stream.send_trailers(trailers).ok();
                    }
                    return Poll::Ready(());
                }
            };
            if last || sent.is_err() {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<B> Future for Pump<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_send(cx));
        self.is_done = true;
        Poll::Ready(())
    }
}

impl<B> Drop for Pump<B> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // Neither stopped nor broken bodies may leave the peer waiting for the rest.
        if std::thread::panicking() {
            *self.work.failure() = Some("it panicked".into());
        }
        self.stream.send_reset(Reason::CANCEL);
    }
}

/// A body of which the first frames have been read.
pub(crate) struct Rest<B> {
    /// Those frames, the first one last.
    ahead: Vec<Frame<Bytes>>,
    body: B,
    /// The body has told its end, and is not asked again.
    is_done: bool,
}

impl<B> Rest<B> {
    pub(crate) fn new(mut ahead: Vec<Frame<Bytes>>, body: B) -> Self {
        ahead.reverse();
        Self { ahead, body, is_done: false }
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(frame) = self.ahead.pop() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.is_done {
            return Poll::Ready(None);
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_done = polled.is_none();
        Poll::Ready(polled.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && (self.is_done || self.body.is_end_stream())
    }
}
