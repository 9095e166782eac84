//! The body of a response, and all that a call holds until its response has ended.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use mesh_core::cluster::{Address, Permit};
use mesh_core::filter::End;

use super::Passing;
use crate::error::{Error, Kind};
use crate::report::Report;
use crate::runtime;
use crate::transport::connection::{Stream, Wire};
use crate::transport::h1;
use crate::transport::pump::Pumping;
use crate::transport::recv::{Source, poll_h2};
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

/// What a call was made on: the target, which the data plane's upper floor knows in full.
pub(crate) trait Owner: Any + fmt::Debug + Send + Sync {
    /// The target's name.
    fn name(&self) -> &str;
}

/// What a call holds from the moment it is sent until its response has ended.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) stream: Option<Stream>,
    pub(crate) permit: Option<Permit>,
    pub(crate) timer: Timer,
    /// Most calls have none, and carry a pointer only.
    pub(crate) pump: Option<Box<Pumping>>,
    pub(crate) passing: Passing,
    pub(crate) report: Option<Box<Report>>,
    /// Keeps the mesh running, which watches the deadline.
    pub(crate) owner: Option<Arc<dyn Owner>>,
    /// How often the request has been sent.
    pub(crate) attempts: u32,
    /// Frames that were there without waiting, since the clock was last looked at.
    ready: u8,
}

impl Guard {
    pub(crate) fn new(permit: Permit, deadline: Option<Instant>) -> Self {
        Self {
            stream: None,
            permit: Some(permit),
            timer: Timer::new(deadline),
            pump: None,
            passing: Passing::default(),
            report: None,
            owner: None,
            attempts: 1,
            ready: 0,
        }
    }

    /// Where the request was sent to, until that is given back.
    pub(crate) fn upstream(&self) -> Option<&Address> {
        self.stream.as_ref().map(|stream| &stream.0.endpoint.address)
    }

    /// Gives everything back; the call ended as `end` says.
    pub(crate) fn release(&mut self, end: End) {
        if let Some(pump) = self.pump.take() {
            pump.stop();
        }
        if let Some(stream) = self.stream.take() {
            if end == End::Complete {
                stream.ended(None);
            }
            self.timer.cancel(&stream.0.signals.timers);
            if matches!(stream.0.wire, Wire::H1(_)) {
                h1::recycle(stream);
            }
        }
        self.permit = None;
        std::mem::take(&mut self.passing).finish(end);
        if let Some(report) = self.report.take() {
            report.finish(end);
        }
    }

    /// Lets go of the connection, but not of the call.
    pub(crate) fn give_back_stream(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.stop();
        }
        if let Some(stream) = self.stream.take() {
            self.timer.cancel(&stream.0.signals.timers);
        }
    }

    /// `error`, or the failure of the request body if that is what broke the stream.
    pub(crate) fn cause(&self, error: Error) -> Error {
        match self.pump.as_deref().and_then(Pumping::failure) {
            Some(failure) => Error::body(failure),
            None => error,
        }
    }

    /// That the deadline passed while the call was `waiting`.
    pub(crate) fn late(&self, waiting: &str) -> Error {
        self.stream.iter().for_each(Stream::late);
        let target = self.owner.as_ref().map_or("", |owner| owner.name());
        let why = match &self.stream {
            Some(stream) => format!(
                "{target}: the deadline passed {waiting} {} of cluster {}",
                stream.0.endpoint.address, stream.0.signals.cluster
            ),
            None => format!("{target}: the deadline passed"),
        };
        Error::new(Kind::Deadline, why)
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
    /// The body that comes from `source`. If nothing comes, what `guard` holds is given back at once.
    #[inline]
    pub(crate) fn new(source: Source, guard: Guard) -> Self {
        if source.is_end() {
            return Self::ended(guard);
        }
        Self { source, guard }
    }

    #[cold]
    fn ended(mut guard: Guard) -> Self {
        let endpoint = guard.stream.as_ref().map(|stream| stream.0.endpoint.clone());
        guard.release(End::Complete);
        Self { source: Source::Done(endpoint), guard }
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

    /// Whether the deadline of a response that never has to be waited for has passed.
    fn is_overdue(&mut self) -> bool {
        const PATIENCE: u8 = 64;
        self.guard.ready = (self.guard.ready + 1) % PATIENCE;
        self.guard.ready == 0 && self.guard.timer.deadline().is_some_and(|at| at <= runtime::now())
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
        let polled = match &mut this.source {
            Source::H2 { recv, data_done } => poll_h2(recv, data_done, cx),
            Source::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map_err(|e| Error::with(Kind::Transport, "the response body broke off", e)),
            Source::Local(content) => {
                let content = std::mem::take(content);
                this.source = Source::Done(None);
                return Poll::Ready((!content.is_empty()).then(|| Ok(Frame::data(content))));
            }
            Source::Done(_) => return Poll::Ready(None),
        };
        match polled {
            Poll::Pending if this.guard.is_late(cx) => {
                let late = this.guard.late("during the response of");
                this.fail(late)
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.guard.stream.iter().for_each(|stream| stream.ended(Some(trailers)));
                    if let Some(report) = &mut this.guard.report {
                        report.saw(trailers);
                    }
                    this.end(End::Complete);
                } else if this.is_overdue() {
                    let late = this.guard.late("during the response of");
                    return this.fail(late);
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
        self.source.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::H1(incoming) => incoming.size_hint(),
            Source::Local(content) => SizeHint::with_exact(content.len() as u64),
            Source::H2 { .. } => SizeHint::new(),
            Source::Done(_) => SizeHint::with_exact(0),
        }
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
