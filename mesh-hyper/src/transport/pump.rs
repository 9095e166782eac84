//! Sends a request body that does not fit into its first look: one task per such body.
//!
//! Pulls a frame only when the peer has opened the window, so at most one frame per stream waits
//! here; stops when the peer resets the stream or the call is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body, Frame};

use super::h2::BodyFailed;
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

/// Sends the rest of a body.
pub(crate) struct Pump<B> {
    stream: SendStream<Bytes>,
    body: B,
    /// Frames read but not sent, first one last.
    ahead: Vec<Frame<Bytes>>,
    failed: Arc<BodyFailed>,
}

impl<B> Pump<B> {
    pub(crate) fn new(
        stream: SendStream<Bytes>,
        body: B,
        mut ahead: Vec<Frame<Bytes>>,
        failed: Arc<BodyFailed>,
    ) -> Self {
        ahead.reverse();
        Self { stream, body, ahead, failed }
    }
}

impl<B> Future for Pump<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if this.stream.capacity() == 0 {
                this.stream.reserve_capacity(1);
                if let Poll::Ready(_reset) = this.stream.poll_reset(cx) {
                    return Poll::Ready(());
                }
                match ready!(this.stream.poll_capacity(cx)) {
                    Some(Ok(0)) => continue,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(()),
                }
            }
            let frame = match this.ahead.pop() {
                Some(frame) => Some(Ok(frame)),
                None => match Pin::new(&mut this.body).poll_frame(cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => {
                        // The peer may be done with the request before the caller is.
                        ready!(this.stream.poll_reset(cx)).ok();
                        return Poll::Ready(());
                    }
                },
            };
            let sent = match frame {
                None => {
                    this.stream.send_data(Bytes::new(), true).ok();
                    return Poll::Ready(());
                }
                Some(Err(_)) => {
                    this.failed.set();
                    this.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let last = this.ahead.is_empty() && this.body.is_end_stream();
                        let sent = this.stream.send_data(data, last);
                        if last {
                            return Poll::Ready(());
                        }
                        sent
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            this.stream.send_trailers(trailers).ok();
                        }
                        return Poll::Ready(());
                    }
                },
            };
            if sent.is_err() {
                return Poll::Ready(());
            }
        }
    }
}
