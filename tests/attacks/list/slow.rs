//! Clients that take their time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{CONTINUATION, Client, END_STREAM, HEADERS, REQUEST, frame};

async fn drip(io: &mut TcpStream, bytes: &[u8]) {
    loop {
        let mut answer = [0; 1_024];
        tokio::select! {
            read = io.read(&mut answer) => if matches!(read, Ok(0) | Err(_)) { return },
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                if io.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Says nothing at all.
pub(super) async fn nothing(mut io: TcpStream) {
    io.read_to_end(&mut Vec::new()).await.ok();
}

/// Begins to speak HTTP/2.
pub(super) async fn preface(mut io: TcpStream) {
    io.write_all(b"PRI * HTTP/2.0\r\n").await.ok();
    io.read_to_end(&mut Vec::new()).await.ok();
}

pub(super) async fn http1_head(mut io: TcpStream) {
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ").await.ok();
    drip(&mut io, b"a").await;
}

pub(super) async fn http2_head(io: TcpStream) {
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_STREAM, 1, &REQUEST).await;
    drip(&mut client.0, &frame(CONTINUATION, 0, 1, &[])).await;
}

/// Begins a TLS handshake.
pub(super) async fn tls(mut io: TcpStream) {
    io.write_all(&[0x16, 0x03, 0x01, 0x01, 0x00, 0x01, 0x00, 0x00, 0xfc, 0x03, 0x03]).await.ok();
    io.read_to_end(&mut Vec::new()).await.ok();
}
