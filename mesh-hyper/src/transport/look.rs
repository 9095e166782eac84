//! The first look at a request body, and the body after it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::error::BoxError;

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

    /// The body from its beginning again, of which `sent` had been taken.
    pub(crate) fn after(mut self, mut sent: Vec<Frame<Bytes>>) -> Self {
        sent.reverse();
        self.ahead.append(&mut sent);
        self
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
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
