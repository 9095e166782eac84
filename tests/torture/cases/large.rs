//! A large stream each way, and many calls on the same connection.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Size;
use crate::client::{Lane, fed};
use crate::findings::Findings;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|config| config.connections.per_endpoint = 1);
    let (feed, body) = fed();
    let calls_ended = Arc::new(Notify::new());
    let ended = calls_ended.clone();
    tokio::spawn(async move {
        for n in 0..size.mebibytes {
            // The stream outlasts the calls, however fast it is.
            if n + 1 == size.mebibytes {
                ended.notified().await;
            }
            if feed.send(mebibyte(n)).await.is_err() {
                return;
            }
        }
    });
    let mut answers = link.open("Chat", Duration::ZERO, body).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap(), Some(mebibyte(0)));
    let mut calls = JoinSet::new();
    for n in 0..size.calls {
        let link = link.clone();
        calls.spawn(async move { link.say(n.to_be_bytes().to_vec().into()).await });
    }
    let reading = tokio::spawn(async move {
        let mut read = 1;
        while let Some(message) = answers.message().await.unwrap() {
            assert_eq!(message, mebibyte(read), "message {read}");
            read += 1;
        }
        read
    });
    let outcomes = calls.join_all().await;
    calls_ended.notify_one();
    let read = reading.await.unwrap();
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    found.exactly("MiB each way", read, size.mebibytes);
    found.failures(&failures);
    let report = lane.report().await;
    found.exactly("calls at handlers", report.calls, u64::from(size.calls) + 1);
    found.exactly("twice", report.twice, 0);
    found.exactly("connections", report.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}

/// Every one is another.
fn mebibyte(n: u64) -> Bytes {
    vec![u8::try_from(n % 251).unwrap(); 1 << 20].into()
}
