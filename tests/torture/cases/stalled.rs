//! A handler that does not read for long, while the client has a lot to send.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::Size;
use crate::client::{Lane, endless};
use crate::findings::Findings;
use crate::memory::Peak;

/// What the client may need for that, in KiB.
const MEMORY: u64 = 8 << 10;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|config| config.connections.per_endpoint = 1);
    // What is there from the first large stream on is not counted.
    let (body, _) = endless(Bytes::from(vec![0; 64 << 10]), 64);
    link.open("Count", Duration::ZERO, body).await.unwrap();
    let peak = Peak::start();
    let (body, taken) = endless(Bytes::from(vec![0; 64 << 10]), size.mebibytes << 4);
    let answers = tokio::spawn({
        let link = link.clone();
        async move {
            let mut answers = link.open("Hold", Duration::ZERO, body).await?.into_inner();
            answers.message().await
        }
    });
    // Others on the connection go on.
    let mut calls = JoinSet::new();
    for n in 0..100u8 {
        let link = link.clone();
        calls.spawn(async move { link.say(vec![n; 1024].into()).await });
    }
    let outcomes = calls.join_all().await;
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    link.wait(size.stall).await.unwrap();
    found.at_most("KiB sent in the pause", taken.load(Ordering::SeqCst) * 64, lane.windows());
    if let Some(growth) = peak.growth() {
        found.at_most("KiB more in the pause", growth, MEMORY);
    }
    found.failures(&failures);
    lane.release().await;
    let counted = answers.await.unwrap().unwrap().unwrap();
    assert_eq!(counted, format!("{} {}", size.mebibytes << 4, size.mebibytes << 20));
    let report = lane.report().await;
    found.exactly("twice", report.twice, 0);
    found.exactly("connections", report.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}
