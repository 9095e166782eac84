//! What a connection speaks, by its first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use mesh_core::listener::Transport;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::leash::Leash;
use crate::transport::connect::Io;

/// What a client of HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a TLS handshake begins with: the type of the record, and the major version.
const TLS: [u8; 2] = [0x16, 0x03];

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    Tls,
}

/// A byte stream of which the beginning was read, and is read again.
pub(super) struct Prefixed {
    io: Box<dyn Io>,
    start: [u8; PREFACE.len()],
    /// How much of the start was read, and how much of that again.
    seen: usize,
    given: usize,
    /// By which it is ended when its peer is not accepted any more.
    leash: Option<Leash>,
}

impl Prefixed {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self { io, start: [0; PREFACE.len()], seen: 0, given: 0, leash: None }
    }

    /// From now on `leash` may end it.
    pub(super) fn on(mut self, leash: Leash) -> Self {
        self.leash = Some(leash);
        self
    }

    /// Whether it begins with a TLS handshake; `None` if it ends before that shows.
    pub(super) async fn transport(&mut self) -> io::Result<Option<Transport>> {
        while self.seen < TLS.len() && TLS.starts_with(self.beginning()) {
            if !self.more().await? {
                return Ok(None);
            }
        }
        let is_tls = self.beginning().starts_with(&TLS);
        Ok(Some(if is_tls { Transport::Tls } else { Transport::Plain }))
    }

    /// What it speaks; `None` if it ends before that shows.
    pub(super) async fn protocol(&mut self) -> io::Result<Option<Protocol>> {
        loop {
            let beginning = self.beginning();
            if beginning == PREFACE {
                return Ok(Some(Protocol::Http2));
            }
            if beginning.starts_with(&TLS) {
                return Ok(Some(Protocol::Tls));
            }
            if !PREFACE.starts_with(beginning) && !TLS.starts_with(beginning) {
                return Ok(Some(Protocol::Http1));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    fn beginning(&self) -> &[u8] {
        self.start.get(..self.seen).unwrap_or_default()
    }

    /// Reads on; whether there was anything.
    async fn more(&mut self) -> io::Result<bool> {
        let rest = self.start.get_mut(self.seen..).unwrap_or_default();
        let count = self.io.read(rest).await?;
        self.seen += count;
        Ok(count > 0)
    }
}

impl Prefixed {
    fn read_on(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let io = Pin::new(&mut *self.io);
        match &mut self.leash {
            None => io.poll_read(cx, into),
            Some(leash) => leash.reading(cx, |cx| io.poll_read(cx, into)),
        }
    }

    fn write_on<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let io = Pin::new(&mut *self.io);
        match &mut self.leash {
            None => write(io, cx),
            Some(leash) => leash.writing(cx, |cx| write(io, cx)),
        }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given == self.seen {
            return self.read_on(cx, into);
        }
        let (given, read) = (self.given, self.seen);
        let rest = self.start.get(given..read).unwrap_or_default();
        let count = rest.len().min(into.remaining());
        into.put_slice(rest.get(..count).unwrap_or_default());
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_on(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_on(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_on(cx, |io, cx| io.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_on(cx, |io, cx| io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
