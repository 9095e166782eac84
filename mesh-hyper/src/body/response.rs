//! The body of a response, and all that a call holds until its response has ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use mesh_core::cluster::Permit;
use mesh_core::filter::{End, Passage};
use tokio::task::AbortHandle;

use crate::client::report::Report;
use crate::error::{Error, Kind};
use crate::transport::connection::{Stream, Wire};
use crate::transport::h1;
use crate::transport::timer::Timer;

/// The body of a response.
///
/// # Cancel safety
/// Dropping it before its end resets the stream, stops the request body if that is still being
/// sent, and counts the call as cancelled. When the body has ended, all of this is given back
/// already.
pub struct ResponseBody {
    source: Source,
    guard: Guard,
}

/// Where the bytes come from.
pub(crate) enum Source {
    H2 { recv: h2::RecvStream, data_done: bool },
    H1(hyper::body::Incoming),
    Local(Bytes),
    Done,
}

/// What a call holds from the moment it is sent until its response has ended.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) stream: Option<Stream>,
    pub(crate) permit: Option<Permit>,
    pub(crate) timer: Timer,
    pub(crate) pump: Option<AbortHandle>,
    pub(crate) passage: Option<Passage>,
    pub(crate) report: Option<Box<Report>>,
}

impl Guard {
    pub(crate) fn new(permit: Permit, deadline: Option<Instant>) -> Self {
        Self {
            stream: None,
            permit: Some(permit),
            timer: Timer::new(deadline),
            pump: None,
            passage: None,
            report: None,
        }
    }

    /// Gives everything back; the call ended as `end` says.
    pub(crate) fn release(&mut self, end: End) {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
        if let Some(stream) = self.stream.take() {
            self.timer.cancel(&stream.0.signals.timers);
            if matches!(stream.0.wire, Wire::H1(_)) {
                h1::recycle(stream);
            }
        }
        self.permit = None;
        if let Some(mut passage) = self.passage.take() {
            passage.finish(end);
        }
        if let Some(report) = self.report.take() {
            report.finish(end);
        }
    }

    /// Lets go of the connection, but not of the call; returns the deadline.
    pub(crate) fn give_back_stream(&mut self) -> Option<Instant> {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
        if let Some(stream) = self.stream.take() {
            self.timer.cancel(&stream.0.signals.timers);
        }
        self.timer.deadline()
    }

    /// Whether the deadline has passed.
    #[inline]
    pub(crate) fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        match &self.stream {
            Some(stream) => self.timer.poll(&stream.0.signals.timers, cx),
            None => false,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release(End::Cancelled);
    }
}

impl ResponseBody {
    pub(crate) fn new(source: Source, guard: Guard) -> Self {
        Self { source, guard }
    }

    /// A body that the mesh itself has made.
    pub(crate) fn local(content: Bytes) -> Self {
        Self::new(Source::Local(content), Guard::default())
    }

    fn end(&mut self, end: End) {
        self.source = Source::Done;
        self.guard.release(end);
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(report) = &mut self.guard.report {
            report.failed(error.kind());
        }
        self.end(End::Failed);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::H2 { recv, data_done } => poll_h2(recv, data_done, cx),
            Source::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map_err(|e| Error::with(Kind::Transport, "the response body broke off", e)),
            Source::Local(content) => {
                let content = std::mem::take(content);
                this.source = Source::Done;
                return Poll::Ready((!content.is_empty()).then(|| Ok(Frame::data(content))));
            }
            Source::Done => return Poll::Ready(None),
        };
        match polled {
            Poll::Pending if this.guard.is_late(cx) => {
                this.fail(Error::new(Kind::Deadline, "the deadline passed during the response"))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    if let Some(report) = &mut this.guard.report {
                        report.saw(trailers);
                    }
                    // Nothing comes after them, and few callers ask.
                    this.end(End::Complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => this.fail(error),
            Poll::Ready(None) => {
                this.end(End::Complete);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::H2 { recv, .. } => recv.is_end_stream(),
            Source::H1(incoming) => incoming.is_end_stream(),
            Source::Local(content) => content.is_empty(),
            Source::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::H1(incoming) => incoming.size_hint(),
            Source::Local(content) => SizeHint::with_exact(content.len() as u64),
            Source::H2 { .. } => SizeHint::new(),
            Source::Done => SizeHint::with_exact(0),
        }
    }
}

fn poll_h2(
    recv: &mut h2::RecvStream,
    data_done: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    while !*data_done {
        match ready!(recv.poll_data(cx)) {
            Some(Ok(data)) => {
                // Handing it to the caller is what opens the window again.
                let _ = recv.flow_control().release_capacity(data.len());
                if !data.is_empty() || !recv.is_end_stream() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
            // The peer has answered in full and wants no more of the request.
            Some(Err(e)) if e.reason() == Some(h2::Reason::NO_ERROR) && e.is_reset() => {
                return Poll::Ready(None);
            }
            Some(Err(e)) => return Poll::Ready(Some(Err(Error::stream(e)))),
            None => *data_done = true,
        }
    }
    Poll::Ready(match ready!(recv.poll_trailers(cx)) {
        Ok(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
        Ok(None) => None,
        Err(e) if e.reason() == Some(h2::Reason::NO_ERROR) && e.is_reset() => None,
        Err(e) => Some(Err(Error::stream(e))),
    })
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::H2 { .. } => "http/2",
            Source::H1(_) => "http/1.1",
            Source::Local(_) => "local",
            Source::Done => "ended",
        };
        f.debug_struct("ResponseBody").field("source", &source).finish_non_exhaustive()
    }
}

/// A whole response body.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Collected {
    /// The content.
    pub content: Bytes,
    /// The trailers, if there were any.
    pub trailers: Option<HeaderMap>,
}

impl ResponseBody {
    /// Reads the body to its end.
    ///
    /// # Errors
    /// When the stream breaks, or the deadline passes.
    pub async fn collected(self) -> Result<Collected, Error> {
        let collected = BodyExt::collect(self).await?;
        let trailers = collected.trailers().cloned();
        Ok(Collected { content: collected.to_bytes(), trailers })
    }

    /// Reads the body to its end as text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// When the stream breaks, or the deadline passes.
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.collected().await?.content).into_owned())
    }
}
