//! Bodies of gRPC responses, for tests.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame};

use crate::error::BoxError;

/// A frame of a body, or how it breaks.
pub(super) type Part = Result<Frame<Bytes>, BoxError>;

/// The body of a gRPC response whose head has no status.
#[derive(Default)]
pub(super) struct Frames(std::vec::IntoIter<Part>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Part>> {
        Poll::Ready(self.0.next())
    }
}

pub(super) fn streams(frames: Vec<Part>) -> Response<Frames> {
    Response::new(Frames(frames.into_iter()))
}

pub(super) fn message() -> Part {
    Ok(Frame::data(Bytes::from_static(b"m")))
}

pub(super) fn status(code: &str) -> Part {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    Ok(Frame::trailers(trailers))
}
