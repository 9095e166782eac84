//! Request bodies that can be sent more than once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::error::BoxError;

/// How many pieces of a body are kept at the most: each may hold on to all that was read with it.
const MAX_CHUNKS: usize = 1_024;

/// The body of one attempt: a request body that may have been read before by others.
///
/// What services below [`RetryLayer`](super::RetryLayer) and [`HedgeLayer`](super::HedgeLayer) get
/// in the place of the body `B`.
#[derive(Debug)]
pub struct Replay<B>(Source<B>);

#[derive(Debug)]
enum Source<B> {
    /// The body itself, which is sent once.
    Body(B),
    /// All of it is there.
    Whole(Whole),
    /// Part of it was read before.
    Part {
        tee: Arc<Mutex<Tee<B>>>,
        turn: u32,
        next: usize,
        /// Bytes that are to come, if that is known.
        left: Option<u64>,
    },
}

/// A whole body.
#[derive(Clone, Debug, Default)]
struct Whole {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

/// What is kept of a body for further attempts.
#[derive(Debug)]
pub(super) enum Kept<B> {
    /// The body itself: it is sent once.
    Once(Option<B>),
    #[expect(private_interfaces, reason = "how it is kept is nobody else's business")]
    Whole(Whole),
    #[expect(private_interfaces, reason = "how it is kept is nobody else's business")]
    Part(Arc<Mutex<Tee<B>>>),
}

/// A body that is read by one attempt at a time and kept as far as it was read.
#[derive(Debug)]
struct Tee<B> {
    body: B,
    /// How long it is, if that is known.
    length: Option<u64>,
    chunks: Vec<Bytes>,
    size: usize,
    /// Bytes that are kept at the most.
    max: usize,
    /// The attempt that may read on.
    turn: u32,
    end: Option<End>,
    /// Whether some of it is not kept.
    is_gone: bool,
}

#[derive(Debug)]
enum End {
    Trailers(Option<HeaderMap>),
    Error(Option<BoxError>),
}

impl<B> Kept<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Reads `body` as far as it is there already, keeping up to `max` bytes.
    ///
    /// What has all been read is kept without further ado, as the body of a unary call.
    pub(super) fn read(body: B, max: usize, cx: &mut Context<'_>) -> Self {
        let (length, chunks) = (body.size_hint().exact(), Vec::new());
        let mut tee =
            Tee { body, length, chunks, size: 0, max, turn: 0, end: None, is_gone: false };
        while tee.end.is_none() && !tee.is_gone && !tee.body.is_end_stream() {
            if tee.poll_read(cx).is_pending() {
                break;
            }
        }
        if tee.is_gone || (tee.end.is_none() && !tee.body.is_end_stream()) {
            return Self::Part(Arc::new(Mutex::new(tee)));
        }
        let trailers = match tee.end {
            Some(End::Trailers(trailers)) => trailers,
            Some(End::Error(_)) | None => None,
        };
        Self::Whole(Whole { data: joined(tee.chunks), trailers })
    }

    /// The body for the next attempt, which is the only one to read on from now; `None` where not
    /// all is there any more.
    pub(super) fn attempt(&mut self) -> Option<Replay<B>> {
        Some(Replay(match self {
            Self::Once(body) => Source::Body(body.take()?),
            Self::Whole(whole) => Source::Whole(whole.clone()),
            Self::Part(tee) => {
                let mut guard = tee.lock().unwrap_or_else(PoisonError::into_inner);
                // The first attempt gets what is not kept, too.
                if guard.is_gone && guard.turn > 0 {
                    return None;
                }
                guard.turn += 1;
                let (turn, left) = (guard.turn, guard.length);
                Source::Part { tee: tee.clone(), turn, next: 0, left }
            }
        }))
    }

    /// Whether there is a body for another attempt.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Once(body) => body.is_some(),
            Self::Whole(_) => true,
            Self::Part(tee) => !tee.lock().unwrap_or_else(PoisonError::into_inner).is_gone,
        }
    }

    /// Whether attempts can read it at the same time.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

impl<B> Tee<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Reads one frame and keeps it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => self.end = Some(End::Trailers(None)),
            Some(Err(error)) => {
                self.end = Some(End::Error(Some(error.into())));
                // It cannot be read once more.
                self.is_gone = true;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.keep(data),
                Err(frame) => self.end = Some(End::Trailers(frame.into_trailers().ok())),
            },
        }
        Poll::Ready(())
    }

    fn keep(&mut self, data: Bytes) {
        self.size = self.size.saturating_add(data.len());
        self.chunks.push(data);
        self.is_gone |= self.size > self.max || self.chunks.len() > MAX_CHUNKS;
    }

    /// The frame with the number `next` for the attempt `turn`.
    fn poll_frame(
        &mut self,
        turn: u32,
        next: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(chunk) = self.chunks.get(*next) {
            *next += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        if self.end.is_none() {
            if turn != self.turn {
                return Poll::Ready(Some(Err("another attempt has the body".into())));
            }
            if self.is_gone {
                // Nobody needs what was kept, nor what comes now.
                self.chunks = Vec::new();
                *next = 0;
            }
            ready!(self.poll_read(cx));
            if self.end.is_none() {
                return self.poll_frame(turn, next, cx);
            }
        }
        Poll::Ready(match &mut self.end {
            Some(End::Error(error)) => error.take().map(Err),
            // Trailers are sent once in each attempt: the one after the last chunk.
            Some(End::Trailers(trailers)) if *next == self.chunks.len() => {
                *next += 1;
                trailers.clone().map(|trailers| Ok(Frame::trailers(trailers)))
            }
            Some(End::Trailers(_)) | None => None,
        })
    }
}

impl<B> Body for Replay<B>
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
        match &mut self.0 {
            Source::Body(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Source::Whole(whole) if !whole.data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut whole.data)))))
            }
            Source::Whole(whole) => {
                Poll::Ready(whole.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Source::Part { tee, turn, next, left } => {
                let mut tee = tee.lock().unwrap_or_else(PoisonError::into_inner);
                let frame = ready!(tee.poll_frame(*turn, next, cx));
                if let (Some(left), Some(Ok(frame))) = (left, &frame) {
                    let data = frame.data_ref().map_or(0, Bytes::len);
                    *left = left.saturating_sub(u64::try_from(data).unwrap_or(u64::MAX));
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Body(body) => body.is_end_stream(),
            Source::Whole(whole) => whole.data.is_empty() && whole.trailers.is_none(),
            Source::Part { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Body(body) => body.size_hint(),
            Source::Whole(whole) => {
                SizeHint::with_exact(u64::try_from(whole.data.len()).unwrap_or(u64::MAX))
            }
            Source::Part { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

fn joined(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() < 2 {
        return chunks.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
    all.freeze()
}

#[cfg(test)]
mod tests;
