//! The body of a request that is served.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::error::{Error, Kind};
use crate::transport::recv::{Source, poll_h2};

/// The body of a request that is served.
///
/// # Cancel safety
/// Dropping it before its end tells the client that the rest is not wanted.
pub struct ServerBody(Source);

impl ServerBody {
    pub(super) fn h2(recv: h2::RecvStream) -> Self {
        Self(if recv.is_end_stream() {
            Source::Done(None)
        } else {
            Source::H2 { recv, data_done: false }
        })
    }

    pub(super) fn h1(incoming: hyper::body::Incoming) -> Self {
        Self(Source::H1(incoming))
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
        let polled = match &mut this.0 {
            Source::H2 { recv, data_done } => poll_h2(recv, data_done, cx),
            Source::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map_err(|e| Error::with(Kind::Transport, "the request body broke off", e)),
            Source::Local(_) | Source::Done(_) => Poll::Ready(None),
        };
        if let Poll::Ready(None | Some(Err(_))) = polled {
            this.0 = Source::Done(None);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::H1(incoming) => incoming.size_hint(),
            Source::H2 { .. } | Source::Local(_) => SizeHint::new(),
            Source::Done(_) => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for ServerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBody").field("is_end", &self.0.is_end()).finish_non_exhaustive()
    }
}
