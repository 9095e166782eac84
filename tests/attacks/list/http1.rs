//! HTTP/1.1 that two readers might read in two ways, or without end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::flood;

pub(super) async fn endless_head(mut io: TcpStream) {
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.ok();
    flood(&mut io, "x-a: b\r\n".repeat(1_000).as_bytes()).await;
}

/// Requests that two readers might read in two ways.
const SMUGGLED: [&str; 7] = [
    "content-length: 0\r\ncontent-length: 36\r\n\r\nGET /quick HTTP/1.1\r\nhost: a\r\n\r\n",
    "content-length: +5\r\n\r\nhello",
    "content-length: 5, 6\r\n\r\nhello",
    "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "host: b\r\n\r\n",
    "x-a: b\r\n folded\r\n\r\n",
];

pub(super) async fn smuggling(mut io: TcpStream) {
    let at = usize::from(io.local_addr().unwrap().port()) % SMUGGLED.len();
    let request = format!("POST /quick HTTP/1.1\r\nhost: a\r\n{}", SMUGGLED[at]);
    io.write_all(request.as_bytes()).await.ok();
    let mut answer = [0; 1_024];
    let read = io.read(&mut answer).await.unwrap_or(0);
    assert!(read == 0 || answer.starts_with(b"HTTP/1.1 400"), "{}", SMUGGLED[at]);
}

/// Requests whose answers are not read.
pub(super) async fn pipelining(mut io: TcpStream) {
    flood(&mut io, "GET /quick HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000).as_bytes()).await;
}

/// CVE-2023-39326.
pub(super) async fn chunk_extensions(mut io: TcpStream) {
    io.write_all(b"POST /read HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;")
        .await
        .ok();
    flood(&mut io, "a=b;".repeat(1_000).as_bytes()).await;
}
