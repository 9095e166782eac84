//! The body of a response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use mesh_core::cluster::Address;
use mesh_core::filter::End;

use super::{Guard, Late, Slices};
use crate::error::{Error, Kind};
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::recv::{Source, poll_h2};

/// The body of a response.
///
/// # Cancel safety
/// Dropping it before its end resets the stream, stops the request body if that is still being
/// sent, and counts the call as cancelled. When the body has ended, all of this is given back
/// already.
pub struct ResponseBody {
    source: Source,
    guard: Guard,
    /// Where a filter slows the body down.
    slices: Option<Box<Slices>>,
}

impl ResponseBody {
    /// The body that comes from `source`. If nothing comes, what `guard` holds is given back at once.
    #[inline]
    pub(crate) fn new(source: Source, guard: Guard) -> Self {
        if source.is_end() {
            return Self::ended(guard);
        }
        Self { source, guard, slices: None }
    }

    /// Lets the body come no faster than `slices`.
    pub(crate) fn set_slices(&mut self, slices: Option<Box<Slices>>) {
        self.slices = slices;
    }

    #[cold]
    fn ended(mut guard: Guard) -> Self {
        let endpoint = guard.stream.as_ref().map(|stream| stream.0.endpoint.clone());
        guard.release(End::Complete);
        Self { source: Source::Done(endpoint), guard, slices: None }
    }

    /// A body that the mesh itself has made.
    pub(crate) fn local(content: Bytes) -> Self {
        Self::new(Source::Local(content), Guard::default())
    }

    /// The endpoint that answers; `None` when the mesh itself has answered, and once the body has
    /// been read to its end.
    #[must_use]
    pub fn upstream(&self) -> Option<&Address> {
        match &self.source {
            Source::Done(Some(endpoint)) => Some(&endpoint.address),
            Source::H2 { .. } | Source::H1(_) | Source::Local(_) | Source::Done(None) => {
                self.guard.upstream()
            }
        }
    }

    /// How often the request was sent to get this response: 1, and more by one for each time that
    /// it was given back unprocessed or retried; 0 when the mesh itself has answered.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.guard.attempts
    }

    fn end(&mut self, end: End) {
        self.source = Source::Done(None);
        self.guard.release(end);
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let error = self.guard.cause(error);
        if matches!(error.kind(), Kind::Transport | Kind::Cancelled) {
            self.guard.stream.iter().for_each(Stream::broke);
        }
        let error = error.sent(self.guard.upstream(), self.guard.attempts);
        if let Some(report) = &mut self.guard.report {
            report.failed(error.kind());
        }
        self.end(End::Failed);
        Poll::Ready(Some(Err(error)))
    }
}

/// A body without content, for layers that answer in the place of the mesh.
impl Default for ResponseBody {
    fn default() -> Self {
        Self::local(Bytes::new())
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
        if let Source::Local(content) = &mut this.source {
            let content = std::mem::take(content);
            this.source = Source::Done(None);
            return Poll::Ready((!content.is_empty()).then(|| Ok(Frame::data(content))));
        }
        let source = &mut this.source;
        let polled = match &mut this.slices {
            None => poll_source(source, cx),
            Some(slices) => slices.poll(cx, |cx| poll_source(source, cx)),
        };
        match polled {
            Poll::Pending => match this.guard.poll_late(cx) {
                None => Poll::Pending,
                Some(late) => {
                    let late = this.guard.late(late, "during the response of");
                    this.fail(late)
                }
            },
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(tries) = this.guard.course.tries() {
                    tries.pace.saw(runtime::now());
                }
                if let Some(trailers) = frame.trailers_ref() {
                    this.guard.stream.iter().for_each(|stream| stream.ended(Some(trailers)));
                    if let Some(report) = &mut this.guard.report {
                        report.saw(trailers);
                    }
                    this.guard.passing.saw(trailers);
                    this.end(End::Complete);
                } else if this.guard.is_overdue() {
                    let late = this.guard.late(Late::Deadline, "during the response of");
                    return this.fail(late);
                } else {
                    this.guard.stream.iter().for_each(Stream::streamed);
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
        self.source.is_end() && self.slices.as_ref().is_none_or(|slices| slices.held() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            // Some of it may be held.
            Source::H1(_) if self.slices.is_some() => SizeHint::new(),
            Source::H1(incoming) => incoming.size_hint(),
            Source::Local(content) => SizeHint::with_exact(content.len() as u64),
            Source::H2 { .. } => SizeHint::new(),
            Source::Done(_) => SizeHint::with_exact(0),
        }
    }
}

fn poll_source(
    source: &mut Source,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    match source {
        Source::H2 { recv, data_done } => poll_h2(recv, data_done, cx),
        Source::H1(incoming) => Pin::new(incoming)
            .poll_frame(cx)
            .map_err(|e| Error::with(Kind::Transport, "the response body broke off", e)),
        Source::Local(_) | Source::Done(_) => Poll::Ready(None),
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // Whoever saw `is_end_stream` need not poll for the end.
        if self.guard.stream.is_some() && self.is_end_stream() {
            self.end(End::Complete);
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::H2 { .. } => "http/2",
            Source::H1(_) => "http/1.1",
            Source::Local(_) => "local",
            Source::Done(_) => "ended",
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
