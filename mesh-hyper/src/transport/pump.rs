//! Sends a request body that does not fit into its first look: one task per such body.
//!
//! Pulls a frame only when the peer has opened the window, so at most one frame per stream waits
//! here; stops when the peer resets the stream or the call is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

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

/// Why a request body failed: set by its pump, read by the call when its stream breaks.
#[derive(Debug, Default)]
pub(crate) struct Failure(Mutex<Option<BoxError>>);

impl Failure {
    fn set(&self, error: BoxError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The failure, if there was one; once.
    pub(crate) fn take(&self) -> Option<BoxError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A pump at work, as the call holds it.
#[derive(Debug)]
pub(crate) struct Pumping {
    task: AbortHandle,
    pub(crate) failure: Arc<Failure>,
}

impl Pumping {
    /// Stops the pump, and resets the stream unless the request had been sent in full.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

/// Sends the rest of a body.
pub(crate) struct Pump<B> {
    stream: SendStream<Bytes>,
    rest: Rest<B>,
    failure: Arc<Failure>,
    /// The stream has got its end, or needs none any more.
    is_done: bool,
}

/// Frames sent in one poll, so that a body that is always ready leaves the worker to others.
const BURST: usize = 128;

impl<B> Pump<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends `rest` on `stream`, in a task of `runtime`.
    pub(crate) fn start(stream: SendStream<Bytes>, rest: Rest<B>, runtime: &Handle) -> Pumping {
        let failure = Arc::new(Failure::default());
        let pump = Self { stream, rest, failure: failure.clone(), is_done: false };
        Pumping { task: runtime.spawn(pump).abort_handle(), failure }
    }
}

impl<B> Pump<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Sends what there is, until there is nothing more to send on the stream.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
            let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(cx) else {
                // The peer may be done with the request before the caller is.
                return self.stream.poll_reset(cx).map(drop);
            };
            let sent = match frame {
                None => {
                    self.stream.send_data(Bytes::new(), true).ok();
                    return Poll::Ready(());
                }
                Some(Err(error)) => {
                    self.failure.set(error);
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let last = self.rest.is_end_stream();
                        if data.is_empty() && !last {
                            continue;
                        }
                        let sent = self.stream.send_data(data, last);
                        if last {
                            return Poll::Ready(());
                        }
                        sent
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.stream.send_trailers(trailers).ok();
                        }
                        return Poll::Ready(());
                    }
                },
            };
            if sent.is_err() {
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
            self.failure.set("it panicked".into());
        }
        self.stream.send_reset(Reason::CANCEL);
    }
}

/// A body of which the first frames have been read.
pub(crate) struct Rest<B> {
    /// Those frames, the first one last.
    ahead: Vec<Frame<Bytes>>,
    body: B,
}

impl<B> Rest<B> {
    pub(crate) fn new(mut ahead: Vec<Frame<Bytes>>, body: B) -> Self {
        ahead.reverse();
        Self { ahead, body }
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
        match self.ahead.pop() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.body.is_end_stream()
    }
}
