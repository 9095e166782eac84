//! An HTTP/2 client made of single frames, for what well-behaved clients never send.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `GET http://a/` in HPACK: indexed fields, and a literal authority.
pub(super) const REQUEST: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];

/// `ENHANCE_YOUR_CALM`.
pub(super) const CALM: u32 = 11;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY.
    pub(super) fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[4..8].try_into().unwrap())
    }
}

pub(super) struct Client<S>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn connect(mut io: S) -> Self {
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut client = Self(io);
        client.send(SETTINGS, 0, 0, &[]).await;
        // The server's windows hold once its settings are acknowledged.
        while client.read().await.unwrap().0 != SETTINGS {}
        client.send(SETTINGS, ACK, 0, &[]).await;
        client
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let frame = frame(kind, flags, stream, payload);
        // A server that has given up reads no more.
        self.0.write_all(&frame).await.ok();
    }

    /// Writes many frames at once.
    pub(super) async fn burst(&mut self, frames: &[Vec<u8>]) {
        self.0.write_all(&frames.concat()).await.ok();
    }

    /// The next frame about a stream, or GOAWAY; answers SETTINGS and PING itself. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            let (kind, flags, frame) = self.read().await?;
            match (kind, flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]).await,
                (PING, 0) => self.send(PING, ACK, 0, &frame.payload).await,
                (SETTINGS | PING, _) => {}
                (WINDOW_UPDATE, _) => {}
                _ => return Some(frame),
            }
        }
    }

    async fn read(&mut self) -> Option<(u8, u8, Frame)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, Frame { kind, stream: u32::from_be_bytes(stream), payload }))
    }

    /// The code of the GOAWAY that ends the connection.
    pub(super) async fn ended(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A field with a new name, not indexed: `name: value`, each of less than 127 bytes.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    assert!(name.len() < 127 && value.len() < 127);
    let mut field = vec![0x00, length(name)];
    field.extend_from_slice(name.as_bytes());
    field.push(length(value));
    field.extend_from_slice(value.as_bytes());
    field
}
