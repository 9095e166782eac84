//! An HTTP/2 peer made of single frames, for what well-behaved servers never send.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const ACK: u8 = 1;

/// `:status: 200` in HPACK.
const OK: u8 = 0x88;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Bytes,
}

pub(super) struct Peer(DuplexStream);

impl Peer {
    /// Reads the preface and sends `settings`, pairs of number and value.
    pub(super) async fn accept(mut io: DuplexStream, settings: &[(u16, u32)]) -> Self {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut peer = Self(io);
        peer.settings(settings).await;
        peer
    }

    pub(super) async fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (number, value) in settings {
            payload.extend_from_slice(&number.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // A client that has gone needs no answer.
        self.0.write_all(&frame).await.ok();
    }

    /// Answers a request with 200 and no content.
    pub(super) async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &[OK]).await;
    }

    /// Answers a request with the head of a response.
    pub(super) async fn answer_head(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &[OK]).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// The next frame about a stream; answers SETTINGS and PING itself. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]).await,
                (PING, 0) => self.send(PING, ACK, 0, &frame.payload).await,
                (SETTINGS | PING, _) => {}
                (WINDOW_UPDATE, _) if frame.stream == 0 => {}
                _ => return Some(frame),
            }
        }
    }

    /// The next frame of `kind`.
    pub(super) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The next frame of any kind, without answering it.
    pub(super) async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(stream);
        Some(Frame { kind, flags, stream, payload: payload.into() })
    }
}
