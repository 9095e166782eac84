//! Clients that mean harm. Each attack ends its own connection, and costs a bounded number of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;

use super::kit::{App, Kit, ask, get};
use super::raw::{
    CALM, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, REQUEST,
    RST_STREAM, frame, literal,
};
use crate::server::settings::{DATA_FRAME_BUDGET, Settings};

/// Counts calls, and never answers those to `/`.
fn counting() -> (App, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let app = App::new({
        let calls = calls.clone();
        move |request| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if request.uri().path() == "/" {
                    std::future::pending::<()>().await;
                }
                Response::new(crate::full("served"))
            }
        }
    });
    (app, calls)
}

/// A good client of the same server is served still.
async fn is_fine(kit: &Kit) {
    let (sender, _) = kit.h2().await;
    assert_eq!(ask(&sender, get("/fine")).await.unwrap().body, "served");
}

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &REQUEST)
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// CVE-2023-44487, all at once.
#[tokio::test]
async fn a_burst_of_resets_ends_the_connection() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    let pairs: Vec<_> = (0..4_000).flat_map(|n| [open(2 * n + 1), reset(2 * n + 1)]).collect();
    client.burst(&pairs).await;
    assert_eq!(client.ended().await, Some(CALM));
    task.await.unwrap();
    assert!(calls.load(Ordering::SeqCst) <= 64, "{calls:?}");
    is_fine(&kit).await;
}

/// The same, slow enough for each stream to be taken in before its reset comes.
#[tokio::test]
async fn resets_one_after_the_other_end_the_connection() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    for n in 0..4_000 {
        if task.is_finished() {
            break;
        }
        client.burst(&[open(2 * n + 1)]).await;
        let before = calls.load(Ordering::SeqCst);
        while calls.load(Ordering::SeqCst) == before && !task.is_finished() && n as usize >= before
        {
            tokio::task::yield_now().await;
        }
        client.burst(&[reset(2 * n + 1)]).await;
    }
    assert_eq!(client.ended().await, Some(CALM));
    task.await.unwrap();
    // One or two batches: a reset may be noticed after the next stream.
    assert!(calls.load(Ordering::SeqCst) <= 1_024, "{calls:?}");
    is_fine(&kit).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let (app, calls) = counting();
    let settings = Settings { streams: 10, ..Settings::default() };
    let kit = Kit::bounded(app, settings);
    let (io, _) = kit.connect();
    let mut client = Client::connect(io).await;
    let all: Vec<_> = (0..12).map(|n| open(2 * n + 1)).collect();
    client.burst(&all).await;
    for stream in [21, 23] {
        let refused = client.next().await.unwrap();
        assert_eq!((refused.kind, refused.stream), (RST_STREAM, stream));
        assert_eq!(refused.payload, 7_u32.to_be_bytes());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 10);
}

/// CVE-2024-27316.
#[tokio::test]
async fn endless_continuations_end_the_connection() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_STREAM, 1, &REQUEST).await;
    let field = literal("x-a", &"a".repeat(100));
    for _ in 0..10_000 {
        if task.is_finished() {
            break;
        }
        client.send(CONTINUATION, 0, 1, &field).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.ended().await, Some(CALM));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    is_fine(&kit).await;
}

#[tokio::test]
async fn a_head_above_the_limit_is_refused_and_not_seen() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, _) = kit.connect();
    let mut client = Client::connect(io).await;
    let mut head = REQUEST.to_vec();
    // 200 fields of about 150 bytes, as HPACK counts them.
    (0..200).for_each(|n| head.extend(literal(&format!("x-{n}"), &"a".repeat(110))));
    let (first, rest) = head.split_at(16_000);
    client.send(HEADERS, END_STREAM, 1, first).await;
    client.send(CONTINUATION, END_HEADERS, 1, rest).await;
    let answer = client.next().await.unwrap();
    // `:status: 431` as a literal, and the stream's end; or the stream is reset.
    assert_eq!((answer.kind, answer.stream), (HEADERS, 1));
    assert!(answer.payload.windows(3).any(|status| status == b"431") || answer.payload.len() < 9);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    is_fine(&kit).await;
}

/// A field in the dynamic table that is named thousands of times in a small frame.
#[tokio::test]
async fn an_hpack_bomb_is_refused_and_not_seen() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, _) = kit.connect();
    let mut client = Client::connect(io).await;
    let mut head = REQUEST.to_vec();
    // Literal with incremental indexing: it is number 62 of the table from then on.
    head.extend([0x40, 0x03]);
    head.extend(b"x-a");
    head.extend([0x7f, 0x81, 0x1e]);
    head.extend(vec![b'a'; 127 + 1 + (0x1e << 7)]);
    head.extend(std::iter::repeat_n(0x80 | 62, 8_000));
    client.send(HEADERS, END_STREAM | END_HEADERS, 1, &head).await;
    let answer = client.next().await.unwrap();
    assert!(matches!(answer.kind, HEADERS | RST_STREAM | GOAWAY), "{answer:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    is_fine(&kit).await;
}

/// A handler that does not read keeps what flow control lets in; frames of 32 bytes are messages of
/// a usual size, and no attack.
#[tokio::test]
async fn small_messages_that_wait_do_not_end_the_connection() {
    let (app, calls) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_HEADERS, 1, &REQUEST).await;
    // All that the stream's window holds.
    let frames: Vec<_> = (0..8_192).map(|_| frame(DATA, 0, 1, &[7; 32])).collect();
    client.burst(&frames).await;
    let fine = [&[0x82, 0x86, 0x04, 0x05][..], b"/fine", &[0x41, 0x01, b'a']].concat();
    client.send(HEADERS, END_HEADERS | END_STREAM, 3, &fine).await;
    let answer = client.next().await.unwrap();
    assert_eq!((answer.kind, answer.stream), (HEADERS, 3));
    assert!(!task.is_finished());
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn single_bytes_without_end_end_the_connection() {
    let (app, _) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    // Several streams, so that their windows do not end it before.
    let most = DATA_FRAME_BUDGET / 255;
    let streams: Vec<u32> = (0..8).map(|n| 2 * n + 1).collect();
    for stream in &streams {
        client.send(HEADERS, END_HEADERS, *stream, &REQUEST).await;
    }
    for n in 0..2 * most / 1_000 {
        if task.is_finished() {
            break;
        }
        let stream = streams[n % streams.len()];
        let frames: Vec<_> = (0..1_000).map(|_| frame(DATA, 0, stream, &[7])).collect();
        client.burst(&frames).await;
    }
    assert_eq!(client.ended().await, Some(CALM));
    is_fine(&kit).await;
}

/// RUSTSEC-2026-0258.
#[tokio::test]
async fn empty_frames_without_end_end_the_connection() {
    let (app, _) = counting();
    let kit = Kit::serving(app);
    let (io, task) = kit.connect();
    let mut client = Client::connect(io).await;
    client.send(HEADERS, END_HEADERS, 1, &REQUEST).await;
    for _ in 0..1_000 {
        if task.is_finished() {
            break;
        }
        let frames: Vec<_> = (0..1_000).map(|_| frame(DATA, 0, 1, &[])).collect();
        client.burst(&frames).await;
    }
    assert!(client.ended().await.is_some());
    is_fine(&kit).await;
}
