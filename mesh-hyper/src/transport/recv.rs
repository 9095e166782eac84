//! The bytes of a response, as they come from the wire.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use mesh_core::cluster::Endpoint;

use crate::error::Error;

/// Where the bytes come from.
pub(crate) enum Source {
    H2 {
        recv: h2::RecvStream,
        data_done: bool,
    },
    H1(hyper::body::Incoming),
    Local(Bytes),
    /// Nothing more comes; where it came from, if nothing ever did.
    Done(Option<Arc<Endpoint>>),
}

impl Source {
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Source::H2 { recv, .. } => recv.is_end_stream(),
            Source::H1(incoming) => incoming.is_end_stream(),
            Source::Local(content) => content.is_empty(),
            Source::Done(_) => true,
        }
    }
}

/// The next frame of an HTTP/2 response.
#[inline]
pub(crate) fn poll_h2(
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
