//! A connection that can be read to its end after writing to it has failed.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Keeps a failure to write from hiding what the peer has sent before.
///
/// A peer that goes away in good order answers what it has taken on, and closes. Anything that it
/// has not read by then, be it the answer to a ping, makes its system reset the connection: writing
/// fails at once, while the last responses are still to be read. HTTP/2 would give them up at the
/// first such failure. So it is told by reading, after the last byte.
#[derive(Debug)]
pub(crate) struct HalfOpen<I> {
    io: I,
    /// Why nothing can be written any more. What is written goes nowhere from then on.
    broken: Option<ErrorKind>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> HalfOpen<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, broken: None }
    }

    /// Does `write`, which takes `instead` once the connection is broken.
    fn write<T>(
        &mut self,
        instead: T,
        write: impl FnOnce(Pin<&mut I>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(instead));
        }
        let written = write(Pin::new(&mut self.io));
        if let Poll::Ready(Err(error)) = &written
            && is_closed(error.kind())
        {
            self.broken = Some(error.kind());
            return Poll::Ready(Ok(instead));
        }
        written
    }
}

/// Whether reading will come to an end by itself, as the connection is gone.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for HalfOpen<I> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, into);
        // The end of what could be read is not an end in good order.
        if let Some(kind) = self.broken
            && matches!(read, Poll::Ready(Ok(())))
            && into.filled().len() == before
        {
            return Poll::Ready(Err(kind.into()));
        }
        read
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HalfOpen<I> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(bytes.len(), |io| io.poll_write(cx, bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        self.write(all, |io| io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write((), |io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write((), |io| io.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_a_peer_sent_before_it_closed_can_be_read_after_a_write_has_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut near = HalfOpen::new(near);
        near.write_all(b"this is never read").await.unwrap();
        far.readable().await.unwrap();
        far.write_all(b"the last words").await.unwrap();
        // With something unread that is a reset, which is here when this returns.
        drop(far);
        assert_eq!(near.io.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        near.write_all(b"nobody hears this").await.unwrap();
        assert!(near.broken.is_some());
        let mut words = Vec::new();
        let error = near.read_to_end(&mut words).await.unwrap_err();
        assert_eq!((&*words, error.kind()), (&b"the last words"[..], ErrorKind::BrokenPipe));
        near.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn an_end_in_good_order_stays_one() {
        let (near, far) = tokio::io::duplex(16);
        let mut near = HalfOpen::new(near);
        near.write_all(b"x").await.unwrap();
        drop(far);
        assert_eq!(near.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
}
