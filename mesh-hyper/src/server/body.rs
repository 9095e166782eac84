//! The body of a request that is served.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use mesh_core::filter::Beginning;

use crate::error::{Error, Kind};
use crate::transport::recv::{Source, poll_h2};

/// The body of a request that is served.
///
/// # Cancel safety
/// Dropping it before its end tells the client that the rest is not wanted.
pub struct ServerBody {
    /// What filters have waited for; it comes first.
    ahead: Option<Box<Ahead>>,
    source: Source,
}

/// The beginning of a body, kept for the service.
#[derive(Default)]
struct Ahead {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl ServerBody {
    pub(super) fn h2(recv: h2::RecvStream) -> Self {
        let source = if recv.is_end_stream() {
            Source::Done(None)
        } else {
            Source::H2 { recv, data_done: false }
        };
        Self { ahead: None, source }
    }

    pub(super) fn h1(incoming: hyper::body::Incoming) -> Self {
        Self { ahead: None, source: Source::H1(incoming) }
    }

    /// The first `up_to` bytes, or all if there are fewer. They stay in the body.
    ///
    /// No more is read than that, so that the client is held back by flow control. It may come with
    /// the rest of its frame.
    pub(super) async fn begin(&mut self, up_to: usize) -> Result<Beginning, Error> {
        let mut ahead = self.ahead.take().unwrap_or_default();
        let mut more = BytesMut::new();
        while ahead.bytes.len() + more.len() < up_to && ahead.trailers.is_none() {
            let Some(frame) = poll_fn(|cx| self.poll_source(cx)).await else { break };
            match frame?.into_data() {
                // Small pieces are put together, because each may hold on to all that was read.
                Ok(data) if more.is_empty() && ahead.bytes.is_empty() => ahead.bytes = data,
                Ok(data) => {
                    if more.is_empty() {
                        more.extend_from_slice(&std::mem::take(&mut ahead.bytes));
                    }
                    more.extend_from_slice(&data);
                }
                Err(frame) => {
                    ahead.trailers = frame.into_trailers().ok();
                    self.source = Source::Done(None);
                }
            }
        }
        if !more.is_empty() {
            ahead.bytes = more.freeze();
        }
        let is_whole = self.source.is_end();
        let bytes = ahead.bytes.clone();
        self.ahead = Some(ahead);
        Ok(Beginning { bytes, is_whole })
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = match &mut self.source {
            Source::H2 { recv, data_done } => poll_h2(recv, data_done, cx),
            Source::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map_err(|e| Error::with(Kind::Transport, "the request body broke off", e)),
            Source::Local(_) | Source::Done(_) => Poll::Ready(None),
        };
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.source = Source::Done(None);
        }
        polled
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Some(ahead) = &mut this.ahead {
            if !ahead.bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut ahead.bytes)))));
            }
            let trailers = ahead.trailers.take();
            this.ahead = None;
            if let Some(trailers) = trailers {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
        this.poll_source(cx)
    }

    fn is_end_stream(&self) -> bool {
        let is_done = |ahead: &Ahead| ahead.bytes.is_empty() && ahead.trailers.is_none();
        self.source.is_end() && self.ahead.as_deref().is_none_or(is_done)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match &self.source {
            Source::H1(incoming) => incoming.size_hint(),
            Source::H2 { .. } | Source::Local(_) => SizeHint::new(),
            Source::Done(_) => SizeHint::with_exact(0),
        };
        let Some(ahead) = &self.ahead else { return rest };
        let here = u64::try_from(ahead.bytes.len()).unwrap_or(u64::MAX);
        let mut all = SizeHint::new();
        if let Some(upper) = rest.upper() {
            all.set_upper(upper.saturating_add(here));
        }
        all.set_lower(rest.lower().saturating_add(here));
        all
    }
}

impl fmt::Debug for ServerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBody").field("is_end", &self.is_end_stream()).finish_non_exhaustive()
    }
}
